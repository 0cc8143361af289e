/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the http files only. http.c: the source, from its options to its close. http_ask.c: what is
 * asked of it, as frames. http_transfer.c: one question as a transfer of libcurl. http_sockets.c:
 * its connections. http_lookups.c: its name. http_text.c and http_status.c: pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include "pipeline/async/semaphore.h"
#include "pipeline/base/buffer.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/drivers/http_lookups.h"
#include "pipeline/drivers/http_sockets.h"
#include "pipeline/loop/transfers.h"
#include "pipeline/resources/source.h"

struct http_source {
	struct resource resource;
	struct source source;
	const struct driver_context *context;
	struct json_limits limits; /* `max_body` may be less than what clients may send */
	struct transfers transfers;
	struct http_sockets sockets;
	struct http_lookups lookups;
	struct semaphore semaphore; /* a permit a question, for each has a connection to itself */
	CURL **spare;		    /* handles for the next questions; room for one a permit */
	uint32_t spare_count;
	struct transfer probe; /* connects and asks nothing */
	struct http_lookup probe_lookup;
	bool probing;
	uint32_t connections;
	uint32_t queue;
	bool post;
	const struct option_map *headers;   /* NULL: none */
	const struct option_value *ca;	    /* the file of certificates, where one is given */
	char *origin;			    /* where to connect */
	struct source_template templates[]; /* the URL, then the headers in their order */
};

enum http_trouble { HTTP_FINE, HTTP_TOO_LARGE, HTTP_HEADERS_TOO_LARGE, HTTP_NO_MEMORY };

/* A question that has its permit: the frame that waits for the network. */
struct http_call {
	struct frame frame;
	struct ask *ask;
	struct http_source *source;
	struct transfer transfer;
	struct http_opening opening;
	struct http_lookup lookup;
	struct buffer body; /* of the answer, in the ask's arena */
	size_t header_bytes;
	bool headed;		   /* its headers have come to their end */
	enum http_trouble trouble; /* why the answer was not read on */
};

/* Its asks are of an http_source's `source`, and of that size. */
extern const struct source_ops http_source_ops;
extern const size_t http_ask_size;

/* For on_ended of `transfers`: ends the call. */
void http_call_ended(struct http_call *call, CURLcode result);

/* How a transfer fails; message absent: by what libcurl says. */
struct http_failure {
	CURLcode code;
	enum status status;
	bool down; /* there was no connection to be had */
	struct text message;
};
const struct http_failure *http_failure(CURLcode code);

/* It has answered, or it can't be connected: says so where that is news. */
void http_source_up(struct http_source *hs, const char *reason);
void http_source_down(struct http_source *hs, const char *reason);

/* Begins the transfer of a call. 0 or -ENOMEM. */
int http_transfer_start(struct http_call *call, uint64_t budget_ms);

/* The call's transfer is over or was stopped: gives back what it used. result: CURLE_OK where it
 * was stopped. */
void http_transfer_end(struct http_call *call, CURLcode result);

/* Begins to connect. 0 or -ENOMEM; http_probe_end(), as http_transfer_end(), when it is over or was
 * stopped. */
int http_probe_start(struct http_source *hs);
void http_probe_end(struct http_source *hs, CURLcode result);
