/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the drivers of sources do alike: the time that a question is given, and what is made of an
 * answer's body.
 */
#include <stdint.h>

#include "pipeline/async/outcome.h"
#include "pipeline/resources/source.h"

struct scope;

/* No limit. */
#define ASKING_FOREVER UINT64_MAX

/* The milliseconds to hand on: what remains less the margin, rounded down. 0: none are left. */
uint64_t asking_budget_ms(const struct scope *scope);

/* It goes out now. */
void asking_sent(struct ask *ask);

/* An outcome whose text is static. */
struct outcome asking_failed(const struct ask *ask, enum status status, struct text message);

/* The same, DEADLINE_EXCEEDED, for what is not sent because no time is left. */
struct outcome asking_too_late(const struct ask *ask);

/*
 * The value of an OK answer. body is in the ask's arena, and absent or empty where there is no
 * value; it is checked as a client's would be.
 */
struct outcome asking_value(const struct ask *ask, struct text body);

/* What the source says went wrong: the `error` of the body of its answer, which is in the ask's
 * arena. Absent where there is none. */
struct text asking_error(const struct ask *ask, struct text body);
