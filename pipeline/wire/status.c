/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of statuses; what is printed, sent and read comes from it.
 */
#include "pipeline/wire/status.h"

#include <assert.h>

#define NAME(literal)                                                                              \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static const struct text names[STATUS_MORE + 1] = {
		[STATUS_OK] = NAME("OK"),
		[STATUS_CANCELLED] = NAME("CANCELLED"),
		[STATUS_INVALID_ARGUMENT] = NAME("INVALID_ARGUMENT"),
		[STATUS_DEADLINE_EXCEEDED] = NAME("DEADLINE_EXCEEDED"),
		[STATUS_NOT_FOUND] = NAME("NOT_FOUND"),
		[STATUS_PERMISSION_DENIED] = NAME("PERMISSION_DENIED"),
		[STATUS_RESOURCE_EXHAUSTED] = NAME("RESOURCE_EXHAUSTED"),
		[STATUS_UNIMPLEMENTED] = NAME("UNIMPLEMENTED"),
		[STATUS_INTERNAL] = NAME("INTERNAL"),
		[STATUS_UNAVAILABLE] = NAME("UNAVAILABLE"),
		[STATUS_UNAUTHENTICATED] = NAME("UNAUTHENTICATED"),
		[STATUS_MORE] = NAME("MORE"),
};

struct text status_text(enum status status)
{
	assert((unsigned)status <= STATUS_MORE);
	return names[status];
}

bool status_from_text(struct text name, enum status *ret)
{
	for (unsigned i = 0; i <= STATUS_MORE; i++) {
		if (!text_equal(names[i], name))
			continue;
		*ret = (enum status)i;
		return true;
	}
	return false;
}
