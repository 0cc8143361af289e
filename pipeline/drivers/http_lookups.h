/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Lookups of a source's name. libcurl makes a thread for each, which nothing can stop: a transfer
 * that ends before its name is known leaves one behind. So many may be left behind at a time, and
 * then no further one is begun; what needs none, since the name is known or there is a connection,
 * goes on.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct async;

struct http_lookups {
	const struct async *async;
	uint64_t *left; /* a ring: when each was left behind, the oldest first */
	uint32_t oldest;
	uint32_t count;
	uint32_t max;
};

/* What one transfer looks up. */
struct http_lookup {
	struct http_lookups *lookups;
	bool begun;
};

/* max: more than none. False when memory is out. */
bool http_lookups_init(struct http_lookups *lookups, const struct async *async, uint32_t max);

/* Safe on a zeroed one. */
void http_lookups_deinit(struct http_lookups *lookups);

/* Before each transfer of this handle; lookup stays until the transfer is over. One that would need
 * too many lookups ends as if the name did not resolve. */
void http_lookup_watch(struct http_lookups *lookups, struct http_lookup *lookup, CURL *easy);

/* When the transfer is over or was stopped. result: CURLE_OK where it was stopped. */
void http_lookup_end(struct http_lookup *lookup, CURL *easy, CURLcode result);
