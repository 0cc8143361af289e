/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One engine a test, in a world without anything real.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/harness.h"

extern struct harness h;

int set_up(void **state);

/* Fails if anything is left of what the test has done, or the engine's counts don't add up. */
int tear_down(void **state);

#define request_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

/* Reads a configuration that must be right, and starts the engine. */
void load(const char *yaml);

struct peer *connect(void);

/* Whether the next thing that the peer took is that reply: see peer_take(). */
#define expect(peer, text) assert_string_equal(peer_take(peer), text)

/* The n-th oldest job of `catalog` that goes on, which must be there; and its end with a row. */
struct scripted_job *job(size_t n);
void row(size_t n, const char *json);

/* The oldest question to a source that goes on, which must be there, is answered, and the turn
 * over. */
void quote(const struct scripted_source *source, const char *json);

const struct engine_counts *counts(void);
