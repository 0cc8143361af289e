/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows on their way count in limits.bytes also while a worker still writes them. The account is the
 * loop's, and a worker can't wake it for each row: it counts what it has, and a timer looks at that
 * while there are jobs.
 */
#include "pipeline/base/arena.h"
#include "pipeline/drivers/sqlite.h"

#define LOOK_NS 100000000U

static void settle(struct sqlite *sqlite)
{
	account_settle(sqlite->context->account, &sqlite->charged, atomic_load(&sqlite->growing));
}

static void on_look(void *user)
{
	struct sqlite *sqlite = user;
	settle(sqlite);
	if (sqlite->jobs == 0)
		sqlite->look = sd_event_source_disable_unref(sqlite->look);
}

/* The timer goes on until it finds no job, so that jobs which follow each other share one. */
void sqlite_job_given(struct sqlite *sqlite)
{
	sqlite->jobs++;
	if (!sqlite->look)
		(void)loop_every(sqlite->context->loop, LOOK_NS, LOOP_PRIORITY_ANSWERS, on_look,
				sqlite, &sqlite->look);
}

void sqlite_job_is_back(struct sqlite *sqlite)
{
	sqlite->jobs--;
	settle(sqlite);
}

void sqlite_jobs_over(struct sqlite *sqlite)
{
	sqlite->look = sd_event_source_disable_unref(sqlite->look);
	settle(sqlite);
}
