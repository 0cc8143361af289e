/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a thread that was left behind ends, nobody is told (CURLOPT_QUICK_EXIT(3)), so it is taken
 * for ended when a resolver has long given up.
 */
#include "pipeline/drivers/http_lookups.h"

#include <stdlib.h>

#include "pipeline/async/async.h"

/* Three servers, each asked twice for 5 s: resolv.conf(5). */
#define LEFT_NS UINT64_C(30000000000)

bool http_lookups_init(struct http_lookups *lookups, const struct async *async, uint32_t max)
{
	*lookups = (struct http_lookups){.async = async, .max = max};
	lookups->left = calloc(max, sizeof(*lookups->left));
	return lookups->left != NULL;
}

void http_lookups_deinit(struct http_lookups *lookups)
{
	free(lookups->left);
	lookups->left = NULL;
}

static void forget_old(struct http_lookups *lookups)
{
	while (lookups->count > 0 &&
			lookups->async->now - lookups->left[lookups->oldest] >= LEFT_NS) {
		lookups->oldest = (lookups->oldest + 1) % lookups->max;
		lookups->count--;
	}
}

/* Those that ran already may be more: the oldest of all is forgotten for the newest. */
static void leave_behind(struct http_lookups *lookups)
{
	if (lookups->count == lookups->max) {
		lookups->oldest = (lookups->oldest + 1) % lookups->max;
		lookups->count--;
	}
	uint32_t at = (lookups->oldest + lookups->count++) % lookups->max;
	lookups->left[at] = lookups->async->now;
}

/* A name that is known, or a connection that is kept, never comes here
 * (CURLOPT_RESOLVER_START_FUNCTION(3)). Nonzero: the transfer ends. */
static int on_lookup(void *resolver, void *reserved, void *user)
{
	struct http_lookup *lookup = user;
	forget_old(lookup->lookups);
	if (lookup->lookups->count == lookup->lookups->max)
		return 1;
	lookup->begun = true;
	return 0;
}

void http_lookup_watch(struct http_lookups *lookups, struct http_lookup *lookup, CURL *easy)
{
	*lookup = (struct http_lookup){.lookups = lookups};
	(void)curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
	(void)curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, lookup);
}

void http_lookup_end(struct http_lookup *lookup, CURL *easy, CURLcode result)
{
	curl_off_t found = 0; /* after so many microseconds; 0: it was not */
	if (!lookup->begun || result == CURLE_COULDNT_RESOLVE_HOST)
		return;
	(void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &found);
	if (found == 0)
		leave_behind(lookup->lookups);
}
