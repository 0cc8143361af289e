/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pipelines in a world of their own, run without requests: a trial is one run of one pipeline, with
 * a scope and an arena as a request has them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/async/scope.h"
#include "pipeline/base/arena.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/run.h"
#include "tests/sim/world.h"

/* Made anew for each test. */
extern struct world world;
extern struct account account;

int set_up(void **state);

/* Fails if anything is left of what the test has done. */
int tear_down(void **state);

#define stage_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Reads a configuration that must be right. */
void load(const char *yaml);

/* One with the pipeline `p`, whose only step is a fan-out with these options. */
void load_fanout(const char *options);

/* Its error where too few have answered, and each of the causes. */
#define TOO_FEW(causes)                                                                            \
	"{\"error\":\"too few good answers\",\"stage\":\"p/1.fanout\",\"causes\":[" causes "]}"
#define CAUSE(text, status, source)                                                                \
	"{\"error\":\"" text "\",\"status\":\"" status "\",\"stage\":\"p/1.fanout/" source "\"}"

struct trial {
	struct frame frame; /* owner of the scope */
	struct scope scope;
	struct run run;
	struct arena arena;
	const struct pipeline *pipeline;
	struct activation *activation;
	struct trial *next;
	const struct json *body;
	enum status status;
	char *answer; /* NULL: none yet */
};

#define FOREVER UINT64_MAX

/* Runs a pipeline with that body, for at most budget_ms; it may have ended when this returns. */
struct trial *start(const char *pipeline, const char *body, uint64_t budget_ms);

/* The same where nothing may wait or be started outside. */
struct trial *start_without_waiting(const char *pipeline, const char *body);

/* The two halves of start(): all that a trial needs from the test, and the run itself. */
struct trial *prepare(const char *pipeline, const char *body, uint64_t budget_ms);
void run(struct trial *trial);

/* Called when a trial has ended, before the answer is written down; may be NULL. */
extern void (*before_answer)(void);

/* Cuts it off from above, as $cancel does. */
void cut(struct trial *trial);

/*
 * What it answered, once nothing is queued: `STATUS[ cache=…][ partial=1][ BODY]`, where the body
 * of an error is its JSON; "" while it has not.
 */
const char *answer(struct trial *trial);

#define expect(trial, text) assert_string_equal(answer(trial), text)

/* The n-th oldest job of `catalog`, or ask of a source, that goes on; it must be there. */
struct scripted_job *job(size_t n);
struct scripted_ask *ask(const struct scripted_source *source, size_t n);

/* Ends that job with a row. */
void row(size_t n, const char *json);

/* Answers that ask with a value, with one that is said to be partial, or with an error. */
void quote(const struct scripted_source *source, size_t n, const char *json);
void quote_partly(const struct scripted_source *source, size_t n, const char *json);
void refuse(const struct scripted_source *source, size_t n, enum status status, const char *text);
