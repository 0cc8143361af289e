/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A database without SQL: whoever made it sees each job that was started and says when and how it
 * ends. A job that nobody ends hangs.
 */
#include "pipeline/base/list.h"
#include "pipeline/resources/database.h"
#include "tests/sim/scripted_end.h"
#include "tests/sim/watch.h"

struct account;

struct query {
	struct link link; /* among its database's queries */
	struct scripted_database *database;
	const struct query_spec *spec;
	uint64_t generation; /* for which it was made */
	uint32_t running;
	uint32_t running_highest;
};

struct scripted_job {
	struct job job;
	struct link link;      /* among its database's jobs, until it has ended */
	uint64_t number;       /* from 1, in its database */
	uint64_t since;	       /* when it began */
	enum reason cancelled; /* REASON_NONE: nobody has cancelled it */
};

struct scripted_database {
	struct database database;
	struct account *account;   /* of rows */
	const struct watch *watch; /* may be NULL */
	struct link queries;
	struct link jobs;		    /* that go on, the oldest first */
	const struct scripted_end *at_once; /* how each job ends in its start; NULL: it goes on */
	uint64_t generation;		    /* of the queries that are made now */
	bool stubborn; /* a cancelled job goes on until it is ended, as one in a busy worker does */
	uint32_t running;
	uint64_t started;   /* jobs so far */
	uint64_t cancelled; /* of them */
};

/* Borrows name and account. */
void scripted_database_init(struct scripted_database *database, const char *name,
		uint32_t connections, struct account *account);

/* No job may go on. */
void scripted_database_deinit(struct scripted_database *database);

/* The n-th oldest job that goes on, from 0, or NULL. */
struct scripted_job *scripted_job(const struct scripted_database *database, size_t n);

/* The job of that number, or NULL if it has ended. */
struct scripted_job *scripted_job_find(const struct scripted_database *database, uint64_t number);

/* The value of a job's parameter; NULL where it has none of that name. */
const struct sql_value *scripted_job_value(const struct scripted_job *job, struct text name);

const struct query_spec *scripted_job_spec(const struct scripted_job *job);
struct scripted_database *scripted_job_database(const struct scripted_job *job);

/* Ends a job: OK with a row, NOT_FOUND, or whatever went wrong. One that was cancelled ends
 * CANCELLED all the same. */
void scripted_job_end(struct scripted_job *job, enum status status, const char *text);
