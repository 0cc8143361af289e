/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How other threads reach the loop. Posting is one compare-and-swap on a list that grows at its
 * head (Treiber 1986); nothing is ever popped from it, it is only taken whole, so an old head can't
 * be mistaken for a new one.
 *
 * The eventfd is written by whoever finds the list empty, after the letter is on it, and is read
 * before the list is taken: a letter that is not in what was taken has a write still to come.
 */
#include "pipeline/loop/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* At most so many letters a turn: deadlines are served between turns. */
#define LETTERS_PER_TURN 256

/*
 * An eventfd that isn't full takes every write and gives every read that poll has announced
 * (eventfd(2)).
 */
static void wake(struct mailbox *mailbox)
{
	while (eventfd_write(mailbox->fd, 1) < 0 && errno == EINTR)
		continue;
}

/* Puts all that was posted behind what was taken before, oldest first. */
static void take(struct mailbox *mailbox)
{
	struct letter *newest =
			atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
	struct letter *oldest = NULL;
	while (newest) {
		struct letter *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	struct letter **end = &mailbox->oldest;
	while (*end)
		end = &(*end)->next;
	*end = oldest;
}

static void hand_out(struct mailbox *mailbox, unsigned max)
{
	for (unsigned i = 0; i < max && mailbox->oldest; i++) {
		struct letter *letter = mailbox->oldest;
		mailbox->oldest = letter->next;
		mailbox->on_letter(mailbox->user, letter);
	}
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct mailbox *mailbox = user;
	eventfd_t count;
	(void)eventfd_read(fd, &count);
	loop_enter(mailbox->loop);
	if (mailbox->oldest == NULL)
		take(mailbox);
	hand_out(mailbox, LETTERS_PER_TURN);
	/* Letters that wait for the next turn, or that were posted while older ones stood here. */
	if (mailbox->oldest || atomic_load_explicit(&mailbox->newest, memory_order_relaxed))
		wake(mailbox);
	/* Last: the turn may end what the mailbox is of, and the mailbox with it. */
	loop_leave(mailbox->loop);
	return 0;
}

int mailbox_init(struct mailbox *mailbox, struct loop *loop, mailbox_fn on_letter, void *user)
{
	*mailbox = (struct mailbox){.loop = loop, .on_letter = on_letter, .user = user};
	mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mailbox->fd < 0)
		return -errno;
	int r = sd_event_add_io(loop->event, &mailbox->io, mailbox->fd, EPOLLIN, on_io, mailbox);
	if (r >= 0)
		r = sd_event_source_set_priority(mailbox->io, LOOP_PRIORITY_ANSWERS);
	if (r < 0) {
		mailbox->io = sd_event_source_disable_unref(mailbox->io);
		(void)close(mailbox->fd);
		return r;
	}
	return 0;
}

void mailbox_drain(struct mailbox *mailbox)
{
	loop_enter(mailbox->loop);
	take(mailbox);
	while (mailbox->oldest) {
		hand_out(mailbox, LETTERS_PER_TURN);
		take(mailbox);
	}
	loop_leave(mailbox->loop);
}

void mailbox_deinit(struct mailbox *mailbox)
{
	if (mailbox->io == NULL)
		return;
	mailbox_drain(mailbox);
	mailbox->io = sd_event_source_disable_unref(mailbox->io);
	(void)close(mailbox->fd);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
	do {
		letter->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, letter,
			memory_order_release, memory_order_relaxed));
	if (newest == NULL)
		wake(mailbox);
}
