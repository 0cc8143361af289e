/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A source without a network: whoever made it sees each ask and says when and how it is answered.
 * An ask that nobody answers hangs.
 */
#include "pipeline/base/list.h"
#include "pipeline/resources/source.h"
#include "tests/sim/scripted_end.h"
#include "tests/sim/watch.h"

struct scripted_ask {
	struct ask ask;
	struct link link;      /* among its source's asks, until it has ended */
	uint64_t number;       /* from 1, at its source */
	uint64_t since;	       /* when it was asked */
	enum reason cancelled; /* REASON_NONE: nobody has cancelled it */
};

struct scripted_source {
	struct source source;
	const struct watch *watch;	    /* may be NULL */
	struct link asks;		    /* that go on, the oldest first */
	const struct scripted_end *at_once; /* how each ask ends in its start; NULL: it goes on */
	struct source_template own;	    /* a template of its own: a URL, a header */
	bool holds;    /* what is asked waits, as for a connection, and is sent at the latest when
			  it is answered */
	bool stubborn; /* a cancelled ask goes on until it is answered, which no real driver does */
};

/* Borrows name and limits. */
void scripted_source_init(
		struct scripted_source *source, const char *name, const struct json_limits *limits);

/* From now on a header goes with each ask; or it is asked by URL, with neither target nor body, as
 * over HTTP. Borrows the template. */
void scripted_source_with_header(struct scripted_source *source, const struct template *header);
void scripted_source_by_url(struct scripted_source *source, const struct template *url);

/* The n-th oldest ask that goes on, from 0, or NULL. */
struct scripted_ask *scripted_ask(const struct scripted_source *source, size_t n);

/* The ask of that number, or NULL if it has ended: an answer to it is late. */
struct scripted_ask *scripted_ask_find(const struct scripted_source *source, uint64_t number);

/* An ask that a source holds goes out. */
void scripted_ask_send(struct scripted_ask *ask);

/* Answers an ask. One that was cancelled ends CANCELLED all the same. */
void scripted_ask_end(struct scripted_ask *ask, enum status status, const char *text);

/* The same with a value of which the source says that it is not the whole. */
void scripted_ask_end_partly(struct scripted_ask *ask, const char *json);

/* The same with an error with which the source asks to be left alone for a while. */
void scripted_ask_end_busy(
		struct scripted_ask *ask, enum status status, const char *text, uint64_t retry_ns);
