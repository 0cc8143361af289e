/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Letters from other threads to the loop: a lock-free list that any thread pushes to, and an
 * eventfd that is written only when the list was empty.
 */
#include <stdatomic.h>

#include "pipeline/loop/loop.h"

struct letter {
	struct letter *next;
};

/*
 * Called on the loop, in a turn, for each letter in the order they came; it may free the letter.
 * The mailbox stays until all of the turn's letters are handed out, and may be deinitialised by
 * what the runner does at the turn's end.
 */
typedef void (*mailbox_fn)(void *user, struct letter *letter);

struct mailbox {
	_Atomic(struct letter *) newest;
	struct letter *oldest; /* taken from the list and not handed out yet */
	int fd;
	sd_event_source *io;
	struct loop *loop;
	mailbox_fn on_letter;
	void *user;
};

/* 0 or -errno. */
int mailbox_init(struct mailbox *mailbox, struct loop *loop, mailbox_fn on_letter, void *user);

/* Hands out all that has come, in one turn, without waiting for more. */
void mailbox_drain(struct mailbox *mailbox);

/*
 * Hands out what is left, then closes. No thread may post any more. Safe twice, and on a zeroed
 * one.
 */
void mailbox_deinit(struct mailbox *mailbox);

/* Any thread. Never waits, never fails; the letter is the loop's from here on. */
void mailbox_post(struct mailbox *mailbox, struct letter *letter);
