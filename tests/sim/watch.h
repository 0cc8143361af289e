/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who is told, as it happens, of what the engine does to the world around it. Each function may be
 * NULL, and none may call the engine.
 */
#include "pipeline/base/text.h"

struct feed_event;
struct peer;
struct record;
struct scripted_ask;
struct scripted_job;

struct watch {
	void (*job_started)(void *user, struct scripted_job *job);
	void (*job_cancelled)(void *user, struct scripted_job *job); /* before it ends */
	void (*ask_started)(void *user, struct scripted_ask *ask);
	void (*ask_cancelled)(void *user, struct scripted_ask *ask);

	/* A reply was taken, refused because the peer does not read, found that the peer is gone,
	 * or was given back unsent. */
	void (*reply_taken)(void *user, struct peer *peer, struct text envelope, struct text reply);
	void (*reply_refused)(
			void *user, struct peer *peer, struct text envelope, struct text reply);
	void (*reply_gone)(void *user, struct peer *peer, struct text envelope, struct text reply);
	void (*reply_discarded)(void *user, struct peer *peer, struct text reply);
	void (*request_ended)(void *user, const struct record *record);
	void (*feed_told)(void *user, const struct feed_event *event); /* after that */
	/* The engine is about to be told that it has read large replies; or has ended it. */
	void (*peer_read)(void *user, struct peer *peer);
	void (*peer_stalled)(void *user, struct peer *peer);
	void *user;
};
