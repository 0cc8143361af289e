/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer, a queue, a random chain of operators and a consumer, in random turns: pushes come in
 * bursts, the consumer rests, and now and then one of them is cut off or the stream is closed. What
 * must always hold is asserted after each step: bounds and order are kept, what was taken is
 * released exactly once, and in the end nothing is left. A seed replays exactly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/async/stream_operators.h"
#include "pipeline/base/random.h"
#include "tests/unit/async/consumer.h"

#define SEEDS	   3000
#define SEEDS_SLOW 100000
#define STEPS	   120
#define CHAIN_MAX  4

enum operation_kind { WHERE, SELECT, TAKE, OPERATORS };

/* Pushes all items in their order, and waits for room where there is none. */
struct producer {
	struct frame frame;
	struct stream_room room;
	int next;
	bool waits;
	bool cut;
};

struct operation {
	enum operation_kind kind;
	int number; /* WHERE: divides; SELECT: is added; TAKE: so many */
	struct item mapped;
	union {
		struct stream_where where;
		struct stream_select select;
		struct stream_take take;
	};
};

static struct root *root;
static struct scope feeding;
static struct items_queue queue;
static struct producer producer;
static struct consumer consumer;
static struct operation chain[CHAIN_MAX];
static size_t chain_size;
static struct stream *stream;
static bool interfered; /* somebody was cut off */
static unsigned long whole, early, full;

static uint64_t pick(uint64_t bound)
{
	return random_below(&async.random, bound);
}

/* ---- the producer */

static enum progress producer_start(struct frame *frame)
{
	return PENDING;
}

static enum progress producer_resume(struct frame *frame, struct frame *child)
{
	assert_ptr_equal(child, &producer.room.frame);
	producer.waits = false;
	if (child->outcome.status == STATUS_OK && !producer.cut)
		return PENDING;
	return frame_done(frame, outcome_status(STATUS_CANCELLED));
}

static void producer_cancel(struct frame *frame, enum reason reason)
{
	producer.cut = true;
	if (producer.waits)
		return; /* it is resumed by its wait, which is cancelled too */
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
}

static const struct frame_ops producer_ops = {
		.start = producer_start, .resume = producer_resume, .cancel = producer_cancel};

static bool producer_works(void)
{
	return producer.frame.state == FRAME_WAITING && !producer.waits && !producer.cut;
}

static void producer_end(enum status status)
{
	stream_queue_end(&queue.queue, outcome_status(status));
	producer.cut = true;
	frame_finish(&producer.frame);
}

static void wait_for_room(void)
{
	uint32_t places = 1 + (uint32_t)pick(queue.queue.capacity);
	full++;
	stream_room_init(&producer.room, &queue.queue, places, &producer.frame, &feeding);
	producer.waits = frame_start(&producer.room.frame) == PENDING;
}

static void push_some(void)
{
	for (uint64_t left = 1 + pick(6); left > 0 && producer_works(); left--) {
		if (producer.next == ITEMS)
			producer_end(STATUS_OK);
		else if (stream_queue_full(&queue.queue))
			wait_for_room();
		else if (items_push(&queue, producer.next) == QUEUE_TAKEN)
			producer.next++;
		else
			producer_end(STATUS_CANCELLED);
	}
}

/* ---- the chain */

static bool divides(void *user, const void *element)
{
	const struct operation *operation = user;
	const struct item *item = element;
	return item->number % operation->number == 0;
}

static void *add(void *user, void *element)
{
	struct operation *operation = user;
	const struct item *item = element;
	operation->mapped.number = item->number + operation->number;
	return &operation->mapped;
}

static struct stream *put(struct operation *operation, struct stream *upstream)
{
	switch (operation->kind) {
	case WHERE:
		operation->number = 1 + (int)pick(3);
		stream_where_init(&operation->where, upstream, divides, operation);
		return &operation->where.stream;
	case SELECT:
		operation->number = (int)pick(100);
		stream_select_init(&operation->select, upstream, add, operation);
		return &operation->select.stream;
	case TAKE:
		operation->number = (int)pick(ITEMS);
		stream_take_init(&operation->take, upstream, (uint64_t)operation->number);
		return &operation->take.stream;
	case OPERATORS:
		break;
	}
	abort();
}

/* What the chain makes of so many items, by hand. The same items for each operator in turn. */
static int foretell(int count, int numbers[static ITEMS])
{
	for (int i = 0; i < count; i++)
		numbers[i] = i;
	for (size_t k = 0; k < chain_size; k++) {
		const struct operation *operation = &chain[k];
		int kept = 0;
		for (int i = 0; i < count; i++) {
			if (operation->kind == WHERE && numbers[i] % operation->number != 0)
				continue;
			if (operation->kind == TAKE && kept == operation->number)
				continue;
			numbers[kept++] = numbers[i] +
					  (operation->kind == SELECT ? operation->number : 0);
		}
		count = kept;
	}
	return count;
}

/* ---- what always holds */

static void check(void)
{
	static int numbers[ITEMS];
	const struct stream_queue *q = &queue.queue;
	uint64_t released = (uint64_t)items_released();
	assert_true(q->count <= q->capacity);
	assert_true(queue.taken == released + q->count + (q->current ? 1 : 0));
	assert_int_equal(queue.taken, producer.next);
	if (stream->over)
		assert_true(q->stream.over && queue.taken == released);
	int count = foretell(producer.next, numbers);
	assert_true(consumer.count <= count);
	for (int i = 0; i < consumer.count; i++)
		assert_int_equal(consumer.got[i], numbers[i]);
}

/* ---- a history */

static void interfere(void)
{
	interfered = true;
	switch (pick(4)) {
	case 0:
		scope_cancel(&consumer.scope, GONE);
		break;
	case 1:
		scope_cancel(&root->scope, DRAIN);
		break;
	case 2:
		stream_close(stream, LOST);
		break;
	case 3:
		if (producer_works())
			producer_end(STATUS_UNAVAILABLE);
		break;
	}
}

static void happen(bool gently)
{
	uint64_t dice = pick(100);
	if (dice < 50)
		push_some();
	else if (dice < 95 && consumer.resting && consumer.frame.state == FRAME_WAITING &&
			!scope_cancelled(&consumer.scope))
		consumer_go_on(&consumer, (int)pick(6));
	else if (dice >= 98 && !gently)
		interfere();
	check();
}

static void begin(uint64_t seed)
{
	async_init(&async, START, seed);
	roots_freed = 0;
	interfered = false;
	root = root_new(NULL, SCOPE_FOREVER);
	consumer_init(&consumer, root);
	consumer.pulls_left = (int)pick(4);
	scope_init(&feeding, &root->scope, &root->owner.frame, SCOPE_FOREVER, TIMEOUT);
	items_init(&queue, &consumer.scope, 1 + (uint32_t)pick(CAPACITY_MAX));
	queue.queue.feeder = &feeding;
	producer = (struct producer){.next = 0};
	frame_init(&producer.frame, &producer_ops, &root->owner.frame, &feeding);
	assert_int_equal(frame_start(&producer.frame), PENDING);
	chain_size = pick(CHAIN_MAX + 1);
	stream = &queue.queue.stream;
	for (size_t i = 0; i < chain_size; i++) {
		chain[i] = (struct operation){.kind = (enum operation_kind)pick(OPERATORS)};
		stream = put(&chain[i], stream);
	}
	(void)consumer_start(&consumer, stream);
}

static void step(bool gently)
{
	async_enter(&async, async.now + pick(TICK));
	for (uint64_t i = pick(4); i > 0; i--)
		happen(gently);
	if (pick(3) == 0)
		runner_drain(&async.runner, pick(3));
	else
		(void)async_leave(&async);
	check();
}

/* The consumer does not rest any more, and the producer goes on to its end. */
static void wind_up(void)
{
	while (!consumer.ended && consumer.frame.state != FRAME_ENDED) {
		if (consumer.resting && !scope_cancelled(&consumer.scope) &&
				consumer.frame.state == FRAME_WAITING)
			consumer_go_on(&consumer, -1);
		push_some();
		run();
		check();
	}
	if (producer_works())
		producer_end(STATUS_OK);
	scope_close(&feeding);
	scope_close(&consumer.scope);
	scope_close(&root->scope);
	run();
	assert_int_equal(roots_freed, 1);
	assert_true(stream->over && (uint64_t)items_released() == queue.taken);
}

static void test_random_streams_in_random_turns(void **state)
{
	uint64_t seeds = getenv("SLUICE_SLOW") ? SEEDS_SLOW : SEEDS;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		static int numbers[ITEMS];
		begin(seed);
		for (int i = 0; i < STEPS && !stream->over; i++)
			step(seed % 3 == 0);
		wind_up();
		whole += !interfered;
		early += interfered && consumer.frame.outcome.status == STATUS_CANCELLED;
		if (!interfered)
			assert_int_equal(consumer.count, foretell(ITEMS, numbers));
		assert_int_equal(scripted_tear_down(state), 0);
	}
	/* All of it has happened. */
	assert_true(whole > SEEDS / 5 && early > SEEDS / 5 && full > SEEDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_random_streams_in_random_turns,
					scripted_set_up, scripted_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
