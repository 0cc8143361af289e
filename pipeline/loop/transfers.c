/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl says which sockets it wants to hear of and when it wants to be called at the latest, and
 * is called when either happens. It never calls itself: its callbacks here only set event sources
 * up, and what has ended is taken after each action.
 *
 * A socket callback that fails would make the whole multi handle useless
 * (CURLMOPT_SOCKETFUNCTION(3), and multi.c), so where memory for an event source is out the
 * transfer is ended instead.
 */
#include "pipeline/loop/transfers.h"

#include <assert.h>
#include <errno.h>

/* Late by at most this; 0 would mean 250 ms (sd_event_add_time(3)). */
#define TIMER_ACCURACY_US 1000

static struct transfer *transfer_of(CURL *easy)
{
	char *private = NULL;
	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	return (struct transfer *)(void *)private;
}

/* Its memory is out: it can't be relied on to go on. */
static void give_up(struct transfers *transfers, struct transfer *transfer)
{
	transfer->given_up = true;
	transfers->any_given_up = true;
}

static void end(struct transfers *transfers, struct transfer *transfer, CURLcode result)
{
	link_remove(&transfer->link);
	(void)curl_multi_remove_handle(transfers->multi, transfer->easy);
	transfers->on_ended(transfers->user, transfer, result);
}

/* A message is gone with its handle, so what it says is read before that is removed. */
static void take_ended(struct transfers *transfers)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(transfers->multi, &left))) {
		if (message->msg == CURLMSG_DONE)
			end(transfers, transfer_of(message->easy_handle), message->data.result);
	}
}

static void take_given_up(struct transfers *transfers)
{
	if (!transfers->any_given_up)
		return;
	transfers->any_given_up = false;
	for (struct link *at = transfers->running.next, *next; at != &transfers->running;
			at = next) {
		struct transfer *transfer = container_of(at, struct transfer, link);
		next = at->next;
		if (transfer->given_up)
			end(transfers, transfer, CURLE_OUT_OF_MEMORY);
	}
}

/* An error is about the multi handle, and does not say who has to do with it. */
static void give_all_up(struct transfers *transfers)
{
	struct link *at = transfers->running.next;
	for (; at != &transfers->running; at = at->next)
		give_up(transfers, container_of(at, struct transfer, link));
}

static void act(struct transfers *transfers, curl_socket_t fd, int mask)
{
	int count;
	loop_enter(transfers->loop);
	CURLMcode code = curl_multi_socket_action(transfers->multi, fd, mask, &count);
	take_ended(transfers);
	if (code != CURLM_OK)
		give_all_up(transfers);
	take_given_up(transfers);
	loop_leave(transfers->loop);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	int mask = 0;
	if (events & EPOLLIN)
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		mask |= CURL_CSELECT_ERR;
	act(user, fd, mask);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t us, void *user)
{
	act(user, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

static int on_again(sd_event_source *source, void *user)
{
	act(user, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

/* Where this fails the transfer waits for its deadline. */
static void come_again(struct transfers *transfers)
{
	(void)sd_event_source_set_enabled(transfers->again, SD_EVENT_ONESHOT);
}

static int watch(struct transfers *transfers, sd_event_source **source, int fd, uint32_t events)
{
	if (*source)
		return sd_event_source_set_io_events(*source, events);
	int r = sd_event_add_io(transfers->loop->event, source, fd, events, on_io, transfers);
	if (r >= 0)
		r = sd_event_source_set_priority(*source, LOOP_PRIORITY_ANSWERS);
	return r;
}

/* libcurl keeps a pointer for each socket: its event source. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *assigned)
{
	static const uint32_t events[] = {[CURL_POLL_IN] = EPOLLIN,
			[CURL_POLL_OUT] = EPOLLOUT,
			[CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT};
	struct transfers *transfers = user;
	sd_event_source *source = assigned;
	struct transfer *transfer = transfer_of(easy);
	if (what == CURL_POLL_REMOVE) {
		sd_event_source_disable_unref(source);
		(void)curl_multi_assign(transfers->multi, fd, NULL);
		return 0;
	}
	int r = watch(transfers, &source, fd, events[what]);
	(void)curl_multi_assign(transfers->multi, fd, source);
	if (r < 0 && transfer) {
		give_up(transfers, transfer);
		come_again(transfers);
	}
	return 0;
}

static int on_timeout(CURLM *multi, long ms, void *user)
{
	struct transfers *transfers = user;
	if (ms == 0) {
		come_again(transfers);
	} else if (ms > 0) {
		uint64_t us = loop_now() / 1000 + (uint64_t)ms * 1000;
		(void)sd_event_source_set_time(transfers->timer, us);
	}
	(void)sd_event_source_set_enabled(
			transfers->timer, ms > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static int add_sources(struct transfers *transfers)
{
	sd_event *event = transfers->loop->event;
	int r = sd_event_add_time(event, &transfers->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US,
			on_timer, transfers);
	if (r >= 0)
		r = sd_event_source_set_enabled(transfers->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(transfers->timer, LOOP_PRIORITY_ANSWERS);
	if (r >= 0)
		r = sd_event_add_defer(event, &transfers->again, on_again, transfers);
	if (r >= 0)
		r = sd_event_source_set_enabled(transfers->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(transfers->again, LOOP_PRIORITY_ANSWERS);
	return r;
}

static void set_options(struct transfers *transfers, long idle_max)
{
	CURLM *multi = transfers->multi;
	(void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	(void)curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, transfers);
	(void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	(void)curl_multi_setopt(multi, CURLMOPT_TIMERDATA, transfers);
	(void)curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, idle_max);
}

int transfers_init(struct transfers *transfers, struct loop *loop, long idle_max,
		transfers_fn on_ended, void *user)
{
	*transfers = (struct transfers){.loop = loop, .on_ended = on_ended, .user = user};
	link_init(&transfers->running);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	transfers->multi = curl_multi_init();
	if (!transfers->multi) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	set_options(transfers, idle_max);
	int r = add_sources(transfers);
	if (r < 0)
		transfers_deinit(transfers);
	return r < 0 ? r : 0;
}

void transfers_deinit(struct transfers *transfers)
{
	if (!transfers->multi)
		return;
	assert(list_empty(&transfers->running));
	(void)curl_multi_cleanup(transfers->multi);
	transfers->multi = NULL;
	transfers->timer = sd_event_source_disable_unref(transfers->timer);
	transfers->again = sd_event_source_disable_unref(transfers->again);
	curl_global_cleanup();
}

int transfers_start(struct transfers *transfers, struct transfer *transfer)
{
	(void)curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	CURLMcode code = curl_multi_add_handle(transfers->multi, transfer->easy);
	assert(code == CURLM_OK || code == CURLM_OUT_OF_MEMORY);
	if (code != CURLM_OK)
		return -ENOMEM;
	list_append(&transfers->running, &transfer->link);
	return 0;
}

void transfers_stop(struct transfers *transfers, struct transfer *transfer)
{
	link_remove(&transfer->link);
	(void)curl_multi_remove_handle(transfers->multi, transfer->easy);
}
