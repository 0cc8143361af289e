/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Transfers of libcurl on the loop: one multi handle, whose sockets and whose timer are event
 * sources. Whoever starts a transfer sets its easy handle up and keeps it. The loop thread only,
 * and never from inside a callback of libcurl.
 */
#include <curl/curl.h>
#include <stdbool.h>

#include "pipeline/base/list.h"
#include "pipeline/loop/loop.h"

struct transfer {
	CURL *easy;	  /* its CURLOPT_PRIVATE is this transfer */
	struct link link; /* among `running` */
	bool given_up;
};

/* A transfer has ended by itself and is let go of. Called in a turn, outside of libcurl. */
typedef void (*transfers_fn)(void *user, struct transfer *transfer, CURLcode result);

struct transfers {
	struct loop *loop;
	CURLM *multi; /* NULL: not there */
	sd_event_source *timer;
	sd_event_source *again; /* what is due at once: a timer would cost a sleep */
	struct link running;	/* started and not ended, in that order */
	bool any_given_up;	/* of these: to be ended after the action */
	transfers_fn on_ended;
	void *user;
};

/* idle_max: connections that are kept for the next transfer. 0 or -errno, and then nothing is left.
 */
int transfers_init(struct transfers *transfers, struct loop *loop, long idle_max,
		transfers_fn on_ended, void *user);

/* Closes all connections; there must be no transfer. Safe twice, and on a zeroed one. */
void transfers_deinit(struct transfers *transfers);

/* A transfer with its easy handle, which it borrows until the end. */
static inline void transfer_init(struct transfer *transfer, CURL *easy)
{
	transfer->easy = easy;
	transfer->given_up = false;
	link_init(&transfer->link);
}

/* Begins; the first of it happens in a later turn. 0 or -ENOMEM. */
int transfers_start(struct transfers *transfers, struct transfer *transfer);

/* Ends a transfer that was started and has not ended: its connection is closed, and nobody is told.
 */
void transfers_stop(struct transfers *transfers, struct transfer *transfer);
