/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/async/stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "pipeline/async/stream_operators.h"
#include "tests/unit/async/consumer.h"

static struct root *root;
static struct consumer consumer;
static struct items_queue queue;
static struct scripted feeder;
static struct scope feeding;
static struct stream_where where;
static struct stream_take take;

static int set_up(void **state)
{
	int failed = scripted_set_up(state);
	root = root_new(NULL, SCOPE_FOREVER);
	consumer_init(&consumer, root);
	scope_init(&feeding, &root->scope, &root->owner.frame, SCOPE_FOREVER, TIMEOUT);
	items_init(&queue, &consumer.scope, 4);
	queue.queue.feeder = &feeding;
	scripted_work(&feeder, &root->owner.frame, &feeding);
	return failed + (frame_start(&feeder.frame) != PENDING);
}

/* All that was taken has been released, whatever became of the stream. */
static int tear_down(void **state)
{
	run();
	if (feeder.frame.state == FRAME_WAITING)
		scripted_finish(&feeder, STATUS_OK);
	scope_close(&feeding);
	scope_close(&consumer.scope);
	scope_close(&root->scope);
	run();
	if (roots_freed != 1 || (uint64_t)items_released() != queue.taken)
		return -1;
	return scripted_tear_down(state);
}

static void push(int number)
{
	assert_int_equal(items_push(&queue, number), QUEUE_TAKEN);
}

static void test_what_is_there_comes_at_once(void **state)
{
	push(1);
	push(2);
	stream_queue_end(&queue.queue, outcome_ok(VALUE_NONE));
	assert_int_equal(consumer_start(&consumer, &queue.queue.stream), DONE);
	assert_true(consumer_got(&consumer, 1, 2, -1));
	assert_int_equal(consumer.frame.outcome.status, STATUS_OK);
	assert_int_equal(consumer.resumes, 0);
	assert_true(runner_idle(&async.runner));
}

static void test_what_is_not_there_is_waited_for(void **state)
{
	assert_int_equal(consumer_start(&consumer, &queue.queue.stream), PENDING);
	push(1);
	push(2);
	assert_int_equal(consumer.count, 0); /* nobody is called back from inside a push */
	run();
	assert_true(consumer_got(&consumer, 1, 2, -1));
	assert_int_equal(consumer.resumes, 1);
	push(3);
	run();
	assert_true(consumer_got(&consumer, 1, 2, 3, -1));
	stream_queue_end(&queue.queue, outcome_status(STATUS_UNAVAILABLE));
	run();
	assert_true(consumer.ended);
	assert_int_equal(consumer.frame.outcome.status, STATUS_UNAVAILABLE);
	assert_int_equal(feeder.cancels, 0);
}

static void test_an_element_stays_until_the_next_pull(void **state)
{
	void *element;
	push(1);
	push(2);
	assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_ITEM);
	assert_ptr_equal(element, &items[1]);
	assert_int_equal(items[1].released, 0);
	assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_ITEM);
	assert_int_equal(items[1].released, 1);
	assert_int_equal(items[2].released, 0);
	assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_LATER);
	assert_int_equal(items[2].released, 1);
	stream_close(&queue.queue.stream, LOST);
}

static void test_the_end_stays_the_end(void **state)
{
	void *element;
	stream_queue_end(&queue.queue, outcome_status(STATUS_NOT_FOUND));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stream_pull(&queue.queue.stream, &element), STREAM_END);
		assert_int_equal(queue.queue.stream.end.status, STATUS_NOT_FOUND);
	}
	stream_close(&queue.queue.stream, LOST);
	assert_int_equal(queue.queue.stream.end.status, STATUS_NOT_FOUND);
	assert_int_equal(feeder.cancels, 0);
}

static bool is_odd(void *user, const void *element)
{
	const struct item *item = element;
	return item->number % 2 == 1;
}

/* where on take on the queue. */
static struct stream *chain(void)
{
	stream_take_init(&take, &queue.queue.stream, 10);
	stream_where_init(&where, &take.stream, is_odd, NULL);
	return &where.stream;
}

static void test_closing_early_gives_all_back(void **state)
{
	consumer.pulls_left = 1;
	for (int i = 1; i <= 4; i++)
		push(i);
	assert_int_equal(consumer_start(&consumer, chain()), PENDING);
	assert_true(consumer.resting);
	stream_close(consumer.stream, LOST);
	stream_close(consumer.stream, LOST);
	assert_int_equal(items_released(), 4);
	assert_int_equal(feeder.cancels, 1);
	assert_int_equal(feeder.reason, LOST);
	assert_int_equal(items_push(&queue, 5), QUEUE_CLOSED);
	assert_true(take.stream.over && queue.queue.stream.over);
	consumer_go_on(&consumer, -1);
	assert_true(consumer.ended);
	assert_int_equal(consumer.frame.outcome.status, STATUS_CANCELLED);
	run();
	assert_int_equal(root->owner.resumes_alone, 1); /* the feeder's owner has heard of it */
}

/* Who waits is woken for what an operator then refuses, and waits again. */
static void test_waiting_through_operators(void **state)
{
	assert_int_equal(consumer_start(&consumer, chain()), PENDING);
	push(2);
	run();
	assert_int_equal(consumer.count, 0);
	push(3);
	run();
	assert_true(consumer_got(&consumer, 3, -1));
	stream_queue_end(&queue.queue, outcome_ok(VALUE_NONE));
	run();
	assert_true(consumer.ended);
	assert_int_equal(items_released(), 2);
}

static void test_a_wait_is_cancelled_with_its_scope(void **state)
{
	assert_int_equal(consumer_start(&consumer, chain()), PENDING);
	scope_cancel(&consumer.scope, GONE);
	assert_true(where.stream.over && queue.queue.stream.over);
	assert_int_equal(feeder.cancels, 1);
	assert_int_equal(feeder.reason, GONE);
	assert_int_equal(consumer.wait.frame.outcome.status, STATUS_CANCELLED);
	run();
	assert_true(consumer.ended);
	assert_int_equal(consumer.resumes, 1);
	assert_int_equal(consumer.frame.outcome.status, STATUS_CANCELLED);
	assert_int_equal(items_push(&queue, 1), QUEUE_CLOSED);
}

/* What lies in the queue is not given any more to who is cut off between being woken and pulling.
 */
static void test_cancelled_between_push_and_pull(void **state)
{
	assert_int_equal(consumer_start(&consumer, chain()), PENDING);
	push(1);
	scope_cancel(&consumer.scope, GONE);
	assert_int_equal(items_push(&queue, 3), QUEUE_CLOSED);
	run();
	assert_true(consumer.ended);
	assert_int_equal(consumer.count, 0);
	assert_int_equal(items[1].released, 1);
	assert_int_equal(feeder.cancels, 1);
}

/* Whoever feeds the stream gets the reason of the scope that was cancelled, though the stream is
 * closed on the way. */
static void test_the_reason_goes_all_the_way(void **state)
{
	assert_int_equal(consumer_start(&consumer, chain()), PENDING);
	scope_cancel(&root->scope, DRAIN);
	assert_int_equal(feeder.reason, DRAIN);
	run();
	assert_true(consumer.ended);
}

static void test_a_stream_in_a_cancelled_scope_has_ended(void **state)
{
	void *element;
	push(1);
	scope_cancel(&consumer.scope, ASKED);
	assert_int_equal(stream_pull(chain(), &element), STREAM_END);
	assert_int_equal(where.stream.end.status, STATUS_CANCELLED);
	assert_int_equal(items[1].released, 1);
	assert_int_equal(feeder.reason, ASKED);
}

/* Closed by somebody else, who does not know that it is waited for. */
static void test_closing_wakes_who_waits(void **state)
{
	assert_int_equal(consumer_start(&consumer, &queue.queue.stream), PENDING);
	stream_close(&queue.queue.stream, LOST);
	run();
	assert_true(consumer.ended);
	assert_int_equal(consumer.frame.outcome.status, STATUS_CANCELLED);
}

/* At a deadline of its own, which nobody else enforces. */
static void test_a_deadline_ends_the_wait(void **state)
{
	static struct scope scope;
	scope_init(&scope, &root->scope, NULL, START + 10 * TICK, TIMEOUT);
	stream_close(&queue.queue.stream, LOST);
	items_init(&queue, &scope, 4);
	queue.queue.feeder = &feeding;
	consumer.frame.scope = &scope;
	assert_int_equal(consumer_start(&consumer, &queue.queue.stream), PENDING);
	(void)turn(START + 12 * TICK);
	run();
	assert_true(consumer.ended);
	assert_int_equal(scope.reason, TIMEOUT);
	scope_close(&scope);
}

static void wait_twice(void)
{
	static struct stream_wait waits[2];
	for (int i = 0; i < 2; i++) {
		stream_wait_init(&waits[i], &queue.queue.stream, &root->owner.frame);
		(void)frame_start(&waits[i].frame);
	}
}

static void wait_for_the_end(void)
{
	stream_close(&queue.queue.stream, LOST);
	static struct stream_wait wait;
	stream_wait_init(&wait, &queue.queue.stream, &root->owner.frame);
	(void)frame_start(&wait.frame);
}

static void wait_without_a_scope(void)
{
	static struct items_queue other;
	static struct stream_wait wait;
	items_init(&other, NULL, 1);
	stream_wait_init(&wait, &other.queue.stream, &root->owner.frame);
}

static void test_what_no_consumer_may_do(void **state)
{
	assert_true(asserts(wait_twice));
	assert_true(asserts(wait_for_the_end));
	assert_true(asserts(wait_without_a_scope));
	stream_close(&queue.queue.stream, LOST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_what_is_there_comes_at_once),
			TEST(test_what_is_not_there_is_waited_for),
			TEST(test_an_element_stays_until_the_next_pull),
			TEST(test_the_end_stays_the_end),
			TEST(test_closing_early_gives_all_back),
			TEST(test_waiting_through_operators),
			TEST(test_a_wait_is_cancelled_with_its_scope),
			TEST(test_cancelled_between_push_and_pull),
			TEST(test_the_reason_goes_all_the_way),
			TEST(test_a_stream_in_a_cancelled_scope_has_ended),
			TEST(test_closing_wakes_who_waits),
			TEST(test_a_deadline_ends_the_wait),
			TEST(test_what_no_consumer_may_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
