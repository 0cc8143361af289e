/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read off the paths of stages: `p4/1.retry/2.lookup` ran in a retry. The stages of a called
 * pipeline have paths of their own, which begin with another name than the request's.
 */
#include "tests/sim/nesting.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/requests/record.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/stage.h"

#define NONE (-1)

/* Those that have others in them stand first. */
static const char *const names[NESTING_INNER] = {
		"cache", "call", "timeout", "retry", "when", "lookup", "fanout"};

struct notes {
	struct nesting *nesting;
	const struct pipeline *pipeline;
};

static int index_of(struct text name)
{
	for (int i = 0; i < NESTING_INNER; i++) {
		if (text_equal(text_of(names[i]), name))
			return i;
	}
	return NONE;
}

/* The stage at the end of a path; NONE: it is a pipeline's name. */
static int stage_of(struct text path)
{
	const char *dot = memrchr(path.data, '.', path.size);
	if (!dot)
		return NONE;
	return index_of((struct text){dot + 1, path.size - (size_t)(dot + 1 - path.data)});
}

static void visit(void *user, const struct stage_frame *frame, uint64_t flight)
{
	const struct notes *notes = user;
	struct text path = frame->stage->path;
	const char *slash = memrchr(path.data, '/', path.size);
	int outer = stage_of((struct text){path.data, (size_t)(slash - path.data)});
	if (outer == NONE && frame->stage->pipeline != notes->pipeline)
		outer = index_of(TEXT("call"));
	if (outer != NONE)
		notes->nesting->met[outer][stage_of(path)]++;
}

void nesting_note(struct nesting *nesting, const struct record *record)
{
	struct notes notes = {nesting, record->pipeline};
	if (record->run)
		pipeline_visit(record->pipeline, record->run->root, visit, &notes);
}

void nesting_print(const struct nesting *nesting)
{
	printf("# %-10s", "ran in");
	for (int inner = 0; inner < NESTING_INNER; inner++)
		printf("%10s", names[inner]);
	printf("\n");
	for (int outer = 0; outer < NESTING_OUTER; outer++) {
		printf("# %-10s", names[outer]);
		for (int inner = 0; inner < NESTING_INNER; inner++)
			printf("%10" PRIu64, nesting->met[outer][inner]);
		printf("\n");
	}
}

uint64_t nesting_least(const struct nesting *nesting)
{
	uint64_t least = UINT64_MAX;
	for (int outer = 0; outer < NESTING_OUTER; outer++) {
		for (int inner = 0; inner < NESTING_INNER; inner++)
			least = nesting->met[outer][inner] < least ? nesting->met[outer][inner]
								   : least;
	}
	return least;
}
