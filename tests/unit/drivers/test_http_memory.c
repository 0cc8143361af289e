/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to an HTTP source while memory is out at any moment: of ours, and of the calls of
 * libcurl that say so. What libcurl asks for in between does not fail: in 7.88 what comes after
 * that is a division by zero.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "pipeline/base/diag.h"
#include "tests/unit/allocations.h"
#include "tests/unit/drivers/http_fixture.h"
#include "tests/unit/sweep.h"

#define METHOD_POST 1
#define TEXTS_MAX   5

static struct fixture *f;
static struct source *source; /* that is asked */
static struct text texts[TEXTS_MAX];
static char url[64];
static enum status expected;

/* Asks it in an arena of its own, and has it answered; whether it ended as it should. */
static bool ask_in_turn(void)
{
	unsigned before = f->ended;
	struct ask *ask = arena_zalloc(&f->arena, source->ask_size);
	struct arena arena;
	assert_non_null(ask);
	arena_init(&arena, NULL);
	source->ops->ask_init(ask, source, &arena, &f->parent, &f->scope);
	ask->texts = texts;
	ask->trace = TEXT("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
	sweep_fail();
	loop_enter(&f->loop);
	enum progress progress = frame_start(&ask->frame);
	loop_leave(&f->loop);
	while (progress == PENDING && f->ended == before) {
		fixture_turn(f, 100);
		fixture_serve(f);
	}
	bool failed = allocations_failed() > 0;
	allocations_heal();
	struct outcome outcome = ask->frame.outcome;
	bool good = outcome.status == expected;
	if (good && expected == STATUS_OK)
		assert_true(text_equal(outcome.value.text, TEXT("[1,2, 3]")));
	else if (!good)
		assert_true(failed && (outcome.status == STATUS_RESOURCE_EXHAUSTED ||
						      outcome.status == STATUS_UNAVAILABLE));
	arena_deinit(&arena);
	return good;
}

static void sweep(struct resource *resource)
{
	fixture_open(resource);
	while (!resource->ready) {
		fixture_turn(f, 1000);
		fixture_serve(f);
	}
	source = resource->source;
	texts[0] = (struct text){
			url, (size_t)snprintf(url, sizeof(url), "http://127.0.0.1:%d/q", f->port)};
	/* Once it was answered there is a handle, and all that is asked for each time is the same.
	 */
	for (int i = 0; i < 2; i++)
		assert_true(sweep_allocations(ask_in_turn) > 5);
	f->ended = 0;
}

static void test_a_get(void **state)
{
	f = *state;
	expected = STATUS_OK;
	sweep(f->resource);
	assert_non_null(strstr(f->request, "GET /q HTTP/1.1\r\n"));
	assert_non_null(strstr(f->request, "\r\nAccept: application/json\r\n"));
}

static void test_a_refusal(void **state)
{
	f = *state;
	f->answer = "HTTP/1.1 404 None\r\nContent-Length: 0\r\n\r\n";
	expected = STATUS_NOT_FOUND;
	sweep(f->resource);
}

static size_t count(const char *words)
{
	size_t found = 0;
	for (const char *at = f->request; (at = strstr(at, words)); at++)
		found++;
	return found;
}

/* Headers that libcurl or sluiced would set, one as long as such, and one without a value. */
static void test_a_post_without_a_body(void **state)
{
	static const char *const names[] = {"Origin", "ACCEPT", "content-type", "X-None"};
	struct option_value headers[4];
	const struct option_map map = {{"sluice.yaml", 8, 3}, headers, 4};
	struct diag diag;
	f = *state;
	diag_init(&diag, &f->arena);
	for (size_t i = 0; i < 4; i++)
		headers[i] = (struct option_value){.name = text_of(names[i])};
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", f->port);
	struct option_value *values = fixture_options(f, url, &diag);
	values[HTTP_METHOD].choice = METHOD_POST;
	values[HTTP_HEADERS].map = &map;
	struct resource *resource = fixture_create(f, values, &diag);
	assert_non_null(resource);
	texts[1] = TEXT("here");
	texts[2] = TEXT("text/plain");
	texts[3] = TEXT("text/x");
	texts[4] = TEXT("");
	expected = STATUS_OK;
	sweep(resource);
	assert_non_null(strstr(f->request, "POST /q HTTP/1.1\r\n"));
	assert_non_null(strstr(f->request, "\r\nOrigin: here\r\n"));
	assert_non_null(strstr(f->request, "\r\nACCEPT: text/plain\r\n"));
	assert_non_null(strstr(f->request, "\r\ncontent-type: text/x\r\n"));
	assert_non_null(strstr(f->request, "\r\nContent-Length: 0\r\n"));
	assert_non_null(strstr(f->request, "\r\ntraceparent: 00-4bf9"));
	assert_int_equal(count("X-None"), 0);
	assert_int_equal(count("ccept"), 0);
	assert_int_equal(count("ontent-"), 2);
	assert_true(http_driver.close(resource, loop_now()));
	http_driver.free(resource);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_get),
			TEST(test_a_refusal),
			TEST(test_a_post_without_a_body),
	};
	return cmocka_run_group_tests_name("drivers/http_memory", tests, NULL, NULL);
}
