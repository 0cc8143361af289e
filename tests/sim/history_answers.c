/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What resources answer, when each of their appointments comes.
 */
#include "tests/sim/history_parts.h"

#include <inttypes.h>

#include "tests/sim/answer.h"

#define GARBLED "{\"garbled"
#define FAILURE "it failed" /* its text is borrowed for longer than a row */

struct scripted_database *history_database(struct history *history, uint32_t resource)
{
	struct world *world = &history->harness.world;
	return resource == 0 ? &world->catalog : &world->ledger;
}

struct scripted_source *history_source(struct history *history, uint32_t resource)
{
	return &history->harness.world.sources[resource - 2];
}

static void end_job(struct history *history, const struct appointment *appointment,
		struct ending ending, const struct answer *answer)
{
	char text[ANSWER_MAX];
	answer_write(text, answer);
	struct scripted_job *job = scripted_job_find(
			history_database(history, appointment->resource), appointment->number);
	if (!job) {
		coverage_meet(history->coverage, MET_LATE_ANSWER);
		return;
	}
	if (ending.garbled)
		ending.status = STATUS_INTERNAL;
	history_tell(history, NULL, "%s.%" PRIu64 " ends: %s %s",
			history_database(history, appointment->resource)->database.name,
			appointment->number, status_text(ending.status).data, text);
	witness_job_ends(&history->witness, job, appointment->run, ending.status);
	scripted_job_end(job, ending.status, ending.status == STATUS_OK ? text : FAILURE);
}

static void end_ask(struct history *history, const struct appointment *appointment,
		struct ending ending, const struct answer *answer)
{
	char text[ANSWER_MAX];
	answer_write(text, answer);
	struct scripted_ask *ask = scripted_ask_find(
			history_source(history, appointment->resource), appointment->number);
	if (!ask) {
		coverage_meet(history->coverage, MET_LATE_ANSWER);
		return;
	}
	history_tell(history, NULL, "%s.%" PRIu64 " answers: %s retry_ms=%" PRIu64 " %s%s",
			history_source(history, appointment->resource)->source.name,
			appointment->number, status_text(ending.status).data,
			answer->retry_ns / WORLD_MS, answer->partial ? "partial=1 " : "",
			ending.garbled ? GARBLED : text);
	witness_ask_ends(&history->witness, ask, ending.garbled ? STATUS_INTERNAL : ending.status,
			answer);
	if (answer->partial)
		scripted_ask_end_partly(ask, text);
	else if (answer->retry_ns > 0)
		scripted_ask_end_busy(ask, ending.status, FAILURE, answer->retry_ns);
	else
		scripted_ask_end(ask, ending.status,
				ending.status != STATUS_OK ? FAILURE
				: ending.garbled	   ? GARBLED
							   : text);
}

static void keep(struct history *history, struct appointment appointment)
{
	struct ending ending = plan_ending(history->plan, appointment.resource, appointment.number);
	history->latest_key = history->witness.runs[appointment.run].key;
	struct answer answer = {.key = history->latest_key, .run = appointment.run};
	answer.odd = ending.odd && appointment.resource >= 2;
	answer.partial = ending.partial && appointment.resource >= 2;
	answer.retry_ns = ending.retry_ns;
	answer.large = ending.large;
	if (appointment.resource < 2)
		end_job(history, &appointment, ending, &answer);
	else
		end_ask(history, &appointment, ending, &answer);
}

bool history_keep_next(struct history *history)
{
	if (!agenda_next(&history->agenda))
		return false;
	keep(history, agenda_take(&history->agenda));
	return true;
}
