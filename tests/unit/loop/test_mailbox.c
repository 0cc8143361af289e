/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/mailbox.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/list.h"
#include "pipeline/base/live.h"
#include "tests/unit/loop/loop_fixture.h"

#define WRITERS 4
#define LETTERS 20000 /* of each writer */

struct numbered {
	struct letter letter;
	unsigned writer;
	unsigned number;
};

struct test {
	struct loop_fixture f;
	struct mailbox mailbox;
	unsigned received;
	unsigned wanted;
	unsigned next[WRITERS]; /* the number that is due from each */
	unsigned replies;	/* letters to be posted from inside the handler */
};

static void post(struct test *test, unsigned writer, unsigned number)
{
	struct numbered *numbered = malloc(sizeof(*numbered));
	assert_non_null(numbered);
	numbered->writer = writer;
	numbered->number = number;
	mailbox_post(&test->mailbox, &numbered->letter);
}

static void on_letter(void *user, struct letter *letter)
{
	struct test *test = user;
	struct numbered *numbered = container_of(letter, struct numbered, letter);
	assert_int_equal(test->f.loop.depth, 1);
	assert_int_equal(numbered->number, test->next[numbered->writer]);
	test->next[numbered->writer]++;
	test->received++;
	if (test->replies > 0) {
		test->replies--;
		post(test, numbered->writer, numbered->number + 1);
	}
	free(numbered);
}

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	loop_fixture_init(&test->f);
	assert_int_equal(mailbox_init(&test->mailbox, &test->f.loop, on_letter, test), 0);
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	mailbox_deinit(&test->mailbox);
	mailbox_deinit(&test->mailbox);
	loop_fixture_deinit(&test->f);
	free(test);
	return live_report();
}

static bool all_received(void *user)
{
	struct test *test = user;
	return test->received == test->wanted;
}

struct writer {
	pthread_t thread;
	struct test *test;
	unsigned index;
};

static void *write_letters(void *argument)
{
	struct writer *writer = argument;
	for (unsigned i = 0; i < LETTERS; i++)
		post(writer->test, writer->index, i);
	return NULL;
}

static void test_letters_of_many_threads_keep_each_ones_order(void **state)
{
	struct test *test = *state;
	struct writer writers[WRITERS];
	test->wanted = WRITERS * LETTERS;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.test = test, .index = i};
		assert_int_equal(pthread_create(&writers[i].thread, NULL, write_letters,
						 &writers[i]),
				0);
	}
	loop_fixture_run_until(&test->f, all_received, test);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
}

static void test_a_turn_takes_a_bounded_batch(void **state)
{
	struct test *test = *state;
	for (unsigned i = 0; i < 1000; i++)
		post(test, 0, i);
	assert_int_equal(sd_event_run(test->f.loop.event, 0), 1);
	assert_in_range(test->received, 1, 999);
	for (unsigned i = 1000; i < 1100; i++)
		post(test, 0, i);
	test->wanted = 1100;
	loop_fixture_run_until(&test->f, all_received, test);
	loop_fixture_run_idle(&test->f);
}

static void test_a_handler_may_post(void **state)
{
	struct test *test = *state;
	test->replies = 300;
	test->wanted = 301;
	post(test, 0, 0);
	loop_fixture_run_until(&test->f, all_received, test);
}

static void test_drain_hands_out_without_the_loop(void **state)
{
	struct test *test = *state;
	test->replies = 1;
	post(test, 1, 0);
	for (unsigned i = 0; i < 1000; i++)
		post(test, 0, i);
	mailbox_drain(&test->mailbox);
	assert_int_equal(test->received, 1002);
}

static void test_deinit_hands_out_what_is_left(void **state)
{
	struct test *test = *state;
	for (unsigned i = 0; i < 600; i++)
		post(test, 0, i);
	assert_int_equal(sd_event_run(test->f.loop.event, 0), 1);
	assert_in_range(test->received, 1, 599);
	mailbox_deinit(&test->mailbox);
	assert_int_equal(test->received, 600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_letters_of_many_threads_keep_each_ones_order),
			TEST(test_a_turn_takes_a_bounded_batch),
			TEST(test_a_handler_may_post),
			TEST(test_drain_hands_out_without_the_loop),
			TEST(test_deinit_hands_out_what_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
