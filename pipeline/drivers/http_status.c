/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As google.rpc.Code maps its codes to HTTP, read backwards. Two differ: a 408 or 504 that comes
 * before our own deadline was a shorter limit of somebody else's, which is UNAVAILABLE with
 * `timeout`; and any 5xx that says nothing more is UNAVAILABLE, for another source may do better.
 * What else a server finds wrong with a request is how it was configured, and INTERNAL.
 */
#include "pipeline/drivers/http_status.h"

#include <stddef.h>

/* The first that holds is it. */
static const struct range {
	int first;
	int last;
	struct http_meaning meaning;
} ranges[] = {
		{200, 299, {.status = STATUS_OK}},
		{400, 400, {.status = STATUS_INVALID_ARGUMENT}},
		{401, 401, {.status = STATUS_UNAUTHENTICATED}},
		{403, 403, {.status = STATUS_PERMISSION_DENIED}},
		{404, 404, {.status = STATUS_NOT_FOUND}},
		{405, 405, {.status = STATUS_UNIMPLEMENTED}},
		{408, 408, {.status = STATUS_UNAVAILABLE, .timeout = true}},
		{410, 410, {.status = STATUS_NOT_FOUND}},
		{413, 414, {.status = STATUS_INVALID_ARGUMENT}},
		{422, 422, {.status = STATUS_INVALID_ARGUMENT}},
		{429, 429, {.status = STATUS_RESOURCE_EXHAUSTED}},
		{501, 501, {.status = STATUS_UNIMPLEMENTED}},
		{504, 504, {.status = STATUS_UNAVAILABLE, .timeout = true}},
		{500, 599, {.status = STATUS_UNAVAILABLE}},
};

struct http_meaning http_meaning(long code)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return ranges[i].meaning;
	}
	return (struct http_meaning){.status = STATUS_INTERNAL};
}
