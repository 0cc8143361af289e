/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queries of each generation, as their jobs make them known: each has permits and a queue of
 * its own, the same query of another generation too.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/witness_parts.h"

/* A LOOKUP's or CACHE's path begins with its pipeline's name. A GATE's second lookup is reached in
 * another order than its requests came in. */
static uint32_t shape_of(const struct witness *witness, struct text path)
{
	const struct configuration *configuration = &witness->plan->configuration;
	for (uint32_t i = 0; i < configuration->shape_count; i++) {
		struct text name = text_of(configuration->shapes[i].name);
		if (configuration->shapes[i].kind < SHAPE_GATE && path.size > name.size &&
				memcmp(path.data, name.data, name.size) == 0 &&
				path.data[name.size] == '/')
			return i;
	}
	return NOBODY;
}

static uint32_t number_after(struct text text, const char *word)
{
	size_t size = strlen(word);
	const char *at = memmem(text.data, text.size, word, size);
	return (uint32_t)strtoul(at + size, NULL, 10);
}

static struct seen_generation *generation_of(
		const struct witness *witness, const struct scripted_job *job)
{
	return &witness->generations[job->job.query->generation - 1];
}

struct seen_query *witness_query_of_job(struct witness *witness, const struct scripted_job *job)
{
	struct seen_generation *generation = generation_of(witness, job);
	for (size_t i = 0; i < generation->query_count; i++) {
		if (generation->queries[i].query == job->job.query)
			return &generation->queries[i];
	}
	if (generation->query_count == QUERIES_MAX)
		abort();
	const struct query_spec *spec = scripted_job_spec(job);
	struct seen_query *query = &generation->queries[generation->query_count++];
	*query = (struct seen_query){
			.query = job->job.query,
			.generation = job->job.query->generation,
			.concurrency = number_after(spec->sql, "LIMIT "),
			.queue = number_after(spec->sql, "OFFSET "),
			.pipeline = (uint32_t)strtoul(spec->stage.data + 1, NULL, 10),
			.shape = shape_of(witness, spec->stage),
	};
	return query;
}

const struct seen_query *witness_query_of(const struct witness *witness, uint32_t shape)
{
	const struct seen_generation *generation = witness_latest(witness);
	for (size_t i = 0; i < generation->query_count; i++) {
		if (generation->queries[i].shape == shape)
			return &generation->queries[i];
	}
	return NULL;
}

void witness_query_started(struct witness *witness, const struct scripted_job *job)
{
	struct seen_query *query = witness_query_of_job(witness, job);
	generation_of(witness, job)->running++;
	query->live++;
	if (++query->running > query->concurrency)
		witness_complain(witness, "%" PRIu32 " jobs run where %" PRIu32 " may",
				query->running, query->concurrency);
}

void witness_query_stopped(struct witness *witness, const struct scripted_job *job)
{
	struct seen_query *query = witness_query_of_job(witness, job);
	generation_of(witness, job)->running--;
	query->just_ended = 1 + witness_just_ended(witness, query);
	query->stretch = witness->stretch_began;
	query->running--;
}

uint32_t witness_just_ended(const struct witness *witness, const struct seen_query *query)
{
	return query->stretch == witness->stretch_began ? query->just_ended : 0;
}

bool witness_queries_wait(const struct seen_generation *generation)
{
	for (size_t i = 0; i < generation->query_count; i++) {
		if (generation->queries[i].running == generation->queries[i].concurrency)
			return true;
	}
	return false;
}
