/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/stream_operators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/base/random.h"
#include "tests/unit/async/consumer.h"

static struct root *root;
static struct consumer consumer;
static struct items_queue queue;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	consumer_init(&consumer, root);
	items_init(&queue, &consumer.scope, CAPACITY_MAX);
	return failed;
}

static int tear_down(void **state)
{
	run();
	scope_close(&consumer.scope);
	scope_close(&root->scope);
	run();
	if (roots_freed != 1 || (uint64_t)items_released() != queue.taken)
		return -1;
	return scripted_tear_down(state);
}

/* Pushes 0 to count - 1, pulled as they come, and ends with a status. */
static void play(struct stream *stream, int count, enum status status)
{
	assert_int_equal(consumer_start(&consumer, stream), PENDING);
	for (int i = 0; i < count; i++) {
		(void)items_push(&queue, i);
		run();
	}
	stream_queue_end(&queue.queue, outcome_status(status));
	run();
	assert_true(consumer.ended);
}

static bool divides(void *user, const void *element)
{
	const struct item *item = element;
	return item->number % *(const int *)user == 0;
}

/* Into the one item that user points at. */
static void *square(void *user, void *element)
{
	const struct item *item = element;
	struct item *squared = user;
	squared->number = item->number * item->number;
	return squared;
}

static void test_where(void **state)
{
	static int three = 3;
	static struct stream_where where;
	stream_where_init(&where, &queue.queue.stream, divides, &three);
	play(&where.stream, 10, STATUS_UNAVAILABLE);
	assert_true(consumer_got(&consumer, 0, 3, 6, 9, -1));
	assert_int_equal(consumer.frame.outcome.status, STATUS_UNAVAILABLE);
}

/* All that is there is looked through in one pull, without holding any of it. */
static void test_where_holds_nothing(void **state)
{
	static int never = ITEMS;
	static struct stream_where where;
	void *element;
	stream_where_init(&where, &queue.queue.stream, divides, &never);
	for (int i = 1; i <= CAPACITY_MAX; i++)
		assert_int_equal(items_push(&queue, i), QUEUE_TAKEN);
	assert_int_equal(stream_pull(&where.stream, &element), STREAM_LATER);
	assert_int_equal(items_released(), CAPACITY_MAX);
	stream_close(&where.stream, LOST);
}

static void test_select(void **state)
{
	static struct item squared;
	static struct stream_select select;
	stream_select_init(&select, &queue.queue.stream, square, &squared);
	play(&select.stream, 5, STATUS_INTERNAL);
	assert_true(consumer_got(&consumer, 0, 1, 4, 9, 16, -1));
	assert_int_equal(consumer.frame.outcome.status, STATUS_INTERNAL);
}

static void test_take_ends_without_waiting_for_one_more(void **state)
{
	static struct stream_take take;
	stream_take_init(&take, &queue.queue.stream, 3);
	assert_int_equal(consumer_start(&consumer, &take.stream), PENDING);
	for (int i = 0; i < 4; i++)
		assert_int_equal(items_push(&queue, i), QUEUE_TAKEN);
	run();
	assert_true(consumer.ended);
	assert_true(consumer_got(&consumer, 0, 1, 2, -1));
	assert_int_equal(consumer.frame.outcome.status, STATUS_OK);
	assert_int_equal(items_released(), 4);
	assert_int_equal(items_push(&queue, 4), QUEUE_CLOSED);
}

static void test_take_of_more_than_there_is(void **state)
{
	static struct stream_take take;
	stream_take_init(&take, &queue.queue.stream, 30);
	play(&take.stream, 2, STATUS_UNAVAILABLE);
	assert_true(consumer_got(&consumer, 0, 1, -1));
	assert_int_equal(consumer.frame.outcome.status, STATUS_UNAVAILABLE);
}

static void test_take_nothing(void **state)
{
	static struct stream_take take;
	(void)items_push(&queue, 0);
	stream_take_init(&take, &queue.queue.stream, 0);
	assert_int_equal(consumer_start(&consumer, &take.stream), DONE);
	assert_int_equal(consumer.count, 0);
	assert_true(queue.queue.stream.over);
}

static void test_sample_takes_one_of_each_row(void **state)
{
	static struct stream_sample sample;
	int places[6] = {0};
	memset(&sample, 1, sizeof(sample));
	stream_sample_init(&sample, &queue.queue.stream, 6, &async.random);
	play(&sample.stream, 60, STATUS_OK);
	assert_int_equal(consumer.count, 10);
	for (int row = 0; row < 10; row++) {
		assert_int_equal(consumer.got[row] / 6, row);
		places[consumer.got[row] % 6]++;
	}
	for (int place = 0; place < 6; place++)
		assert_in_range(places[place], 0, 6); /* not always the same one */
}

static void test_sample_of_one_is_all(void **state)
{
	static struct stream_sample sample;
	stream_sample_init(&sample, &queue.queue.stream, 1, &async.random);
	play(&sample.stream, 4, STATUS_OK);
	assert_true(consumer_got(&consumer, 0, 1, 2, 3, -1));
}

static void test_operators_on_operators(void **state)
{
	static int two = 2;
	static struct item squared;
	static struct stream_where where;
	static struct stream_select select;
	static struct stream_take take;
	stream_where_init(&where, &queue.queue.stream, divides, &two);
	stream_select_init(&select, &where.stream, square, &squared);
	stream_take_init(&take, &select.stream, 3);
	play(&take.stream, 12, STATUS_OK);
	assert_true(consumer_got(&consumer, 0, 4, 16, -1));
	assert_int_equal(queue.taken, 5); /* closed by the pull after 4 */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_where),
			TEST(test_where_holds_nothing),
			TEST(test_select),
			TEST(test_take_ends_without_waiting_for_one_more),
			TEST(test_take_of_more_than_there_is),
			TEST(test_take_nothing),
			TEST(test_sample_takes_one_of_each_row),
			TEST(test_sample_of_one_is_all),
			TEST(test_operators_on_operators),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
