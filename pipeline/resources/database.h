/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a lookup stage asks of a database: queries that are named when the configuration is compiled
 * and prepared when the database is opened, and jobs that run one with bound values. The loop
 * thread only.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/text.h"

struct arena;
struct blob;
struct database;

struct query_spec {
	struct text sql;
	struct place place; /* in the configuration, for what is found when it is prepared */
	struct text stage;  /* the path of the stage that asks */
	const struct text *parameters; /* names without the colon, as values come */
	size_t parameter_count;
	const struct text *json_columns; /* columns whose text is JSON */
	size_t json_column_count;
	bool all_rows;	    /* an array of objects; else the first row as an object */
	uint32_t rows_max;  /* of all_rows; more is INTERNAL */
	uint32_t bytes_max; /* of what it returns, as JSON; more is INTERNAL */
};

/* A query of an open database; its driver's own. */
struct query;

enum sql_kind { SQL_NULL, SQL_BOOLEAN, SQL_INTEGER, SQL_REAL, SQL_TEXT };

struct sql_value {
	enum sql_kind kind;
	int64_t integer; /* BOOLEAN (0 or 1), INTEGER */
	double real;
	struct text text;
};

/*
 * One run of a query. A frame that the driver made: OK with the row (or rows) as JSON, NOT_FOUND
 * where there is no row, UNAVAILABLE where the database is locked or failing, INTERNAL where the
 * SQL fails or a value can't be written as JSON. Cancelled, it ends when the worker has let go of
 * it.
 */
struct job {
	struct frame frame;
	struct query *query;
	struct arena *arena;		/* for faults */
	struct text id;			/* of who asks, for the log; set like values */
	const struct sql_value *values; /* one a parameter; must stay until the frame has ended */
	struct blob *result;		/* with OK: a reference, which the parent takes over */
};

struct database_ops {
	/*
	 * Names a query, to be freed. spec and what it points to are borrowed as long as it lives.
	 * NULL when memory is out.
	 */
	struct query *(*query_new)(struct database *database, const struct query_spec *spec);
	/* Nothing runs it any more, and nothing will. */
	void (*query_free)(struct query *query);
	/*
	 * Makes a job of job_size bytes at `job`; values are set by the caller before
	 * frame_start().
	 */
	void (*job_init)(struct job *job, struct query *query, struct arena *arena,
			struct frame *parent, struct scope *scope);
	/* How many runs of this query were ever going on at one moment, counted where they run. */
	uint32_t (*query_running_highest)(const struct query *query);
};

struct database {
	const struct database_ops *ops;
	const char *name; /* the configuration's; borrowed */
	size_t job_size;
	uint32_t connections; /* jobs that can run at once */
	uint64_t replaced;    /* how often another file has taken its place */
	/*
	 * Of all its queries, and counted where they run, not where they are asked for: maybe in
	 * other threads.
	 */
	_Atomic uint64_t queries;	  /* statements begun */
	_Atomic uint32_t running_highest; /* ever, at one moment */
};

/*
 * Finds the names of `:name` parameters in sql, each once, in the order they first stand; what is
 * inside strings, quoted names and comments is passed over. Names are slices of sql. Returns how
 * many there are, or -1 when memory is out.
 */
int sql_parameters(struct text sql, struct arena *arena, const struct text **ret_names);
