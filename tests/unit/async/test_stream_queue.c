/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/stream_queue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/async/consumer.h"

#define CAPACITY 3

static struct root *root;
static struct items_queue queue;
static struct stream_room room;
static struct scripted producer;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	items_init(&queue, &root->scope, CAPACITY);
	scripted_parent(&producer, &root->owner.frame, &root->scope, 1);
	return failed + (frame_start(&producer.frame) != PENDING);
}

static int tear_down(void **state)
{
	stream_close(&queue.queue.stream, LOST);
	run();
	if (producer.frame.state == FRAME_WAITING)
		scripted_finish(&producer, STATUS_OK);
	scope_close(&root->scope);
	run();
	if (roots_freed != 1 || (uint64_t)items_released() != queue.taken)
		return -1;
	return scripted_tear_down(state);
}

static void fill(void)
{
	for (int i = 0; i < CAPACITY; i++)
		assert_int_equal(items_push(&queue, i), QUEUE_TAKEN);
	assert_true(stream_queue_full(&queue.queue));
}

static int pull(void)
{
	void *element;
	assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_ITEM);
	return ((struct item *)element)->number;
}

static enum progress wait_for_places(uint32_t places)
{
	stream_room_init(&room, &queue.queue, places, &producer.frame, &root->scope);
	return frame_start(&room.frame);
}

static enum progress wait_for_room(void)
{
	return wait_for_places(1);
}

static void test_it_is_full_at_its_capacity(void **state)
{
	fill();
	assert_int_equal(items_push(&queue, 7), QUEUE_FULL);
	assert_int_equal(queue.queue.count, CAPACITY);
	assert_int_equal(items[7].released, 0);
	assert_int_equal(pull(), 0);
	assert_false(stream_queue_full(&queue.queue));
	assert_int_equal(items_push(&queue, 8), QUEUE_TAKEN);
	assert_int_equal(items_push(&queue, 9), QUEUE_FULL);
	assert_int_equal(queue.queue.count, CAPACITY);
}

static void test_order_is_kept_around_the_ring(void **state)
{
	int pulled = 0, pushed = 0, full = 0;
	for (int i = 0; i < ITEMS - CAPACITY; i++) {
		for (int more = i % 3; more >= 0; more--) {
			bool taken = items_push(&queue, pushed) == QUEUE_TAKEN;
			pushed += taken;
			full += !taken;
		}
		assert_int_equal(pull(), pulled++);
	}
	assert_true(full > 0);
	while (queue.queue.count > 0)
		assert_int_equal(pull(), pulled++);
	assert_int_equal(pulled, pushed);
}

static void test_what_lies_in_it_comes_before_the_end(void **state)
{
	void *element;
	fill();
	stream_queue_end(&queue.queue, outcome_status(STATUS_UNAVAILABLE));
	stream_queue_end(&queue.queue, outcome_ok(VALUE_NONE)); /* the first stays */
	assert_int_equal(items_push(&queue, 7), QUEUE_CLOSED);
	for (int i = 0; i < CAPACITY; i++)
		assert_int_equal(pull(), i);
	assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_END);
	assert_int_equal(queue.queue.stream.end.status, STATUS_UNAVAILABLE);
	assert_int_equal(items_released(), CAPACITY);
	stream_queue_end(&queue.queue, outcome_ok(VALUE_NONE));
	assert_int_equal(queue.queue.stream.end.status, STATUS_UNAVAILABLE);
}

static void test_elements_may_need_no_release(void **state)
{
	queue.queue.release = NULL;
	fill();
	assert_int_equal(pull(), 0);
	assert_int_equal(pull(), 1);
	stream_close(&queue.queue.stream, LOST);
	assert_int_equal(items_released(), 0);
	queue.taken = 0; /* for tear_down() */
}

static void test_room_is_there_at_once_while_there_is_some(void **state)
{
	assert_int_equal(wait_for_room(), DONE);
	assert_int_equal(room.frame.outcome.status, STATUS_OK);
}

static void test_room_comes_with_the_next_pull(void **state)
{
	fill();
	assert_int_equal(wait_for_room(), PENDING);
	run();
	assert_int_equal(producer.resumes, 0);
	assert_int_equal(pull(), 0);
	assert_int_equal(producer.resumes, 0);
	run();
	assert_int_equal(producer.resumes, 1);
	assert_int_equal(room.frame.outcome.status, STATUS_OK);
	assert_int_equal(items_push(&queue, 7), QUEUE_TAKEN);
	assert_int_equal(pull(), 1); /* wakes nobody any more */
	run();
	assert_int_equal(producer.resumes, 1);
}

static void test_no_room_in_what_is_closed(void **state)
{
	fill();
	assert_int_equal(wait_for_room(), PENDING);
	stream_close(&queue.queue.stream, LOST);
	run();
	assert_int_equal(producer.resumes, 1);
	assert_int_equal(room.frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(wait_for_room(), DONE);
	assert_int_equal(room.frame.outcome.status, STATUS_CANCELLED);
}

static void test_no_room_in_what_is_to_end(void **state)
{
	fill();
	assert_int_equal(wait_for_room(), PENDING);
	stream_queue_end(&queue.queue, outcome_ok(VALUE_NONE));
	run();
	assert_int_equal(room.frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(pull(), 0);
	assert_int_equal(wait_for_room(), DONE);
	assert_int_equal(room.frame.outcome.status, STATUS_CANCELLED);
}

static void test_a_wait_for_room_is_cancelled(void **state)
{
	fill();
	assert_int_equal(wait_for_room(), PENDING);
	scope_cancel(&root->scope, GONE);
	run();
	assert_int_equal(room.frame.outcome.status, STATUS_CANCELLED);
	assert_null(queue.queue.room);
	assert_int_equal(producer.resumes, 1);
}

static void test_a_producer_may_want_more_than_one_place(void **state)
{
	fill();
	assert_int_equal(wait_for_places(2), PENDING);
	(void)pull();
	run();
	assert_int_equal(producer.resumes, 0);
	(void)pull();
	run();
	assert_int_equal(producer.resumes, 1);
	assert_int_equal(wait_for_places(2), DONE);
}

static void push_nothing(void)
{
	(void)stream_queue_push(&queue.queue, NULL);
}

static void wait_twice(void)
{
	static struct stream_room other;
	fill();
	(void)wait_for_room();
	stream_room_init(&other, &queue.queue, 1, &producer.frame, &root->scope);
	(void)frame_start(&other.frame);
}

static void test_what_no_producer_may_do(void **state)
{
	assert_true(asserts(push_nothing));
	assert_true(asserts(wait_twice));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_it_is_full_at_its_capacity),
			TEST(test_order_is_kept_around_the_ring),
			TEST(test_what_lies_in_it_comes_before_the_end),
			TEST(test_elements_may_need_no_release),
			TEST(test_room_is_there_at_once_while_there_is_some),
			TEST(test_room_comes_with_the_next_pull),
			TEST(test_no_room_in_what_is_closed),
			TEST(test_no_room_in_what_is_to_end),
			TEST(test_a_wait_for_room_is_cancelled),
			TEST(test_a_producer_may_want_more_than_one_place),
			TEST(test_what_no_producer_may_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
