/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses as they are written in a configuration, before libzmq sees them: it takes for a port
 * whatever digits there are, of which sixteen bits then count.
 */
#include <stdbool.h>

#include "pipeline/base/text.h"

/* What a text begins with is cut off it. False: it begins otherwise. */
bool endpoint_skip(struct text *endpoint, struct text prefix);

/* Cuts tcp://HOST:PORT apart, at its last colon. False: it is none, or one of both is empty. */
bool endpoint_split(struct text endpoint, struct text *ret_host, struct text *ret_port);

/* Four numbers with dots between them; or what stands in brackets. What is neither may be a name,
 * to be looked up. */
bool endpoint_is_ipv4(struct text host);
bool endpoint_is_ipv6(struct text host);

/* 1 to 65535, in digits. */
bool endpoint_is_port(struct text port);
