/* SPDX-License-Identifier: Apache-2.0 */
/* What a list of steps is compiled to, and that nobody sees a difference. */
#include <string.h>

#include "pipeline/base/buffer.h"
#include "pipeline/stages/stage.h"
#include "tests/unit/stages/trial.h"

#define LOOK "lookup: {in: catalog, query: SELECT 1}"
#define WHEN "when: {value: '${x}', present: true, steps: [" LOOK "]}"

static const struct scripted_end found = {STATUS_OK, "7"};

/* What the steps of `p` are. */
static const struct stage *compiled(const char *steps)
{
	char yaml[512];
	(void)snprintf(yaml, sizeof(yaml), "pipelines:\n  p:\n    steps: [%s]\n", steps);
	load(yaml);
	return pipelines_find(world.pipelines, TEXT("p"))->steps;
}

static void check(const char *steps, const char *type, const char *path)
{
	const struct stage *stage = compiled(steps);
	assert_string_equal(stage->type->name, type);
	assert_true(text_equal(stage->path, text_of(path)));
}

static void test_one_step_is_the_list(void **state)
{
	check(LOOK, "lookup", "p/1.lookup");
}

static void test_more_are_a_list(void **state)
{
	check(LOOK ", " LOOK, "steps", "p");
}

static void test_a_name_needs_a_list(void **state)
{
	check("{" LOOK ", as: x}", "steps", "p");
}

static void test_a_reply_needs_a_list(void **state)
{
	load("pipelines:\n  p:\n    steps: [" LOOK "]\n    reply: {a: 1}\n");
	const struct stage *steps = pipelines_find(world.pipelines, TEXT("p"))->steps;
	assert_string_equal(steps->type->name, "steps");
}

/* Where nothing came before, "the value before stands" would mean nothing. */
static void test_what_may_give_nothing_needs_a_list_around_it(void **state)
{
	check(WHEN, "steps", "p");
}

static void test_but_not_among_other_steps(void **state)
{
	const struct stage *steps = compiled(LOOK ", timeout: {after: 1s, steps: [" WHEN "]}");
	assert_int_equal(steps->type->may_stand, false);
	world.catalog.at_once = &found;
	expect(start("p", "{}", 1000), "OK 7");
}

static void append_path(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct buffer *paths = user;
	buffer_append(paths, frame->stage->path);
	buffer_append_format(paths, ":%d ", (int)flight);
}

static void check_visited(const char *steps, const char *visited)
{
	assert_int_equal(set_up(NULL), 0);
	(void)compiled(steps);
	struct trial *trial = start("p", "{\"x\":1}", 1000);
	struct buffer paths;
	buffer_init_arena(&paths, &world.arena);
	pipeline_visit(trial->pipeline, trial->activation, append_path, &paths);
	buffer_append_char(&paths, '\0');
	assert_string_equal(paths.data, visited);
	cut(trial);
	(void)answer(trial);
	assert_int_equal(tear_down(NULL), 0);
}

/* Whether it is a list or one step, the stages of the file are told of, and nothing else. */
static void test_what_is_visited(void **state)
{
	check_visited(LOOK, "p/1.lookup:0 ");
	check_visited(WHEN, "p/1.when:0 p/1.when/1.lookup:0 ");
	check_visited("cache: {in: hot, key: a, ttl: 1s, miss: [" LOOK "]}",
			"p/1.cache:0 p/1.cache/1.lookup:1 ");
	check_visited("cache: {in: hot, key: a, ttl: 1s, miss: [{" LOOK ", as: y}]}",
			"p/1.cache:0 p/1.cache/1.lookup:1 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			stage_test(test_one_step_is_the_list),
			stage_test(test_more_are_a_list),
			stage_test(test_a_name_needs_a_list),
			stage_test(test_a_reply_needs_a_list),
			stage_test(test_what_may_give_nothing_needs_a_list_around_it),
			stage_test(test_but_not_among_other_steps),
			cmocka_unit_test(test_what_is_visited),
	};
	return cmocka_run_group_tests_name("stages/steps", tests, NULL, NULL);
}
