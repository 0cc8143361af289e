/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a request, or any part of it, ends: gRPC's names, in one table; and MORE, which ends nothing.
 */
#include <stdbool.h>

#include "pipeline/base/text.h"

enum status {
	STATUS_OK,
	STATUS_CANCELLED,
	STATUS_INVALID_ARGUMENT,
	STATUS_DEADLINE_EXCEEDED,
	STATUS_NOT_FOUND,
	STATUS_PERMISSION_DENIED,
	STATUS_RESOURCE_EXHAUSTED,
	STATUS_UNIMPLEMENTED,
	STATUS_INTERNAL,
	STATUS_UNAVAILABLE,
	STATUS_UNAUTHENTICATED,
	STATUS_COUNT,		    /* of ends */
	STATUS_MORE = STATUS_COUNT, /* on the wire only: a part of an answer, and others follow */
};

/* The name as it stands on the wire. */
struct text status_text(enum status status);

/* False: no status has that name. */
bool status_from_text(struct text name, enum status *ret);
