/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GATE is a lookup, and another under a condition. For whom the condition does not hold, the
 * second is never started, and the value of the first stands.
 */
#include <inttypes.h>

#include "tests/sim/witness_parts.h"

/* NULL: the request is for another shape. */
static const struct gate *gate_of(const struct witness *witness, uint32_t number)
{
	const struct configuration *configuration = &witness->plan->configuration;
	uint32_t shape = witness->plan->requests[number].shape;
	bool is_gate = shape < configuration->shape_count &&
		       configuration->shapes[shape].kind == SHAPE_GATE;
	return is_gate ? &configuration->shapes[shape].gate : NULL;
}

static bool holds(const struct witness *witness, const struct gate *gate, uint32_t number)
{
	uint32_t n = number + 1; /* as a request names itself */
	uint32_t key = witness->plan->requests[number].key;
	switch (gate->kind) {
	case GATE_EQUALS:
		return n == gate->number;
	case GATE_ABOVE:
		return n > gate->number;
	case GATE_BELOW:
		return n < gate->number;
	case GATE_KEY:
		return key == gate->number;
	case GATE_PRESENT:
		return key % 4 > 0;
	case GATE_ABSENT:
		return key % 4 == 0;
	}
	return false;
}

void witness_gate_started(struct witness *witness, const struct scripted_job *job, uint32_t run,
		uint32_t number)
{
	const struct gate *gate = gate_of(witness, number);
	struct text stage = scripted_job_spec(job)->stage;
	if (!gate)
		return;
	witness->runs[run].gated = memmem(stage.data, stage.size, ".when/", 6) != NULL;
	if (witness->runs[run].gated && !holds(witness, gate, number))
		witness_complain(witness, "request %" PRIu32 " runs what its condition forbids",
				number);
}

void witness_gate_gave(struct witness *witness, uint32_t number, uint32_t run)
{
	const struct gate *gate = gate_of(witness, number);
	if (gate && (run == 0 || holds(witness, gate, number) != witness->runs[run].gated))
		witness_complain(witness, "request %" PRIu32 " got the value of the wrong step",
				number);
}
