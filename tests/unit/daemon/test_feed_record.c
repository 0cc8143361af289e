/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a real engine tells of requests, as subscribers read it. The engine's clock is the test's,
 * so times are exact.
 */
#include "pipeline/requests/record_members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "daemon/feed.h"
#include "pipeline/base/diag.h"
#include "pipeline/base/log.h"
#include "pipeline/requests/engine.h"
#include "pipeline/requests/generation.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/resources/memory_cache.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/pipeline.h"
#include "tests/unit/daemon/feed_fixture.h"

#define START	   UINT64_C(1000000000)
#define MS	   UINT64_C(1000000)
#define GENERATION 7

static const char pipelines_yaml[] = "pipelines:\n"
				     "  product:\n"
				     "    takes: {sku: string}\n"
				     "    steps:\n"
				     "      - cache:\n"
				     "          in: hot\n"
				     "          key: product/${sku}\n"
				     "          ttl: 30s\n"
				     "          miss:\n"
				     "            - fanout: {to: north, body: {sku: \"${sku}\"}}\n"
				     "  offer:\n"
				     "    steps:\n"
				     "      - timeout: {after: 20ms, steps: [{call: product}]}\n"
				     "feeds:\n"
				     "  slow: {where: {us: {above: 2999}}, select: [id, us]}\n"
				     "  odd: {outlier: {field: us, warmup: 3}, select: [id]}\n";

static const struct option root_options[] = {
		{.key = "feeds", .kind = OPTION_NAMED, .table = record_feed_options},
		{.key = "pipelines",
				.kind = OPTION_NAMED,
				.required = true,
				.table = pipeline_options},
		{.key = NULL},
};

struct test {
	struct feed_fixture f;
	struct async async; /* the engine's */
	struct arena arena;
	struct engine *engine;
	struct client *client;
	struct cache *cache;
	struct source source;
	struct pipelines *pipelines;
	struct record_feeds *feeds;
	struct generation generation;
	struct ask *ask; /* what north was asked last */
	void *subscriber;
	size_t reply_size; /* of the last reply */
	struct json_limits json;
};

/* ---- a source that answers when the test says so */

static struct test *the_test;

static enum progress ask_start(struct frame *frame)
{
	the_test->ask = container_of(frame, struct ask, frame);
	return PENDING;
}

static void ask_cancel(struct frame *frame, enum reason reason)
{
	(void)reason;
	frame->outcome = outcome_status(STATUS_CANCELLED);
	frame_finish(frame);
}

static const struct frame_ops ask_ops = {.start = ask_start, .cancel = ask_cancel};

static void ask_init(struct ask *ask, struct source *source, struct arena *arena,
		struct frame *parent, struct scope *scope)
{
	*ask = (struct ask){.source = source, .arena = arena};
	frame_init(&ask->frame, &ask_ops, parent, scope);
}

static const struct source_ops source_ops = {.ask_init = ask_init};

static struct cache *find_cache(void *user, struct text name)
{
	struct test *test = user;
	return text_equal(name, TEXT("hot")) ? test->cache : NULL;
}

static struct database *find_database(void *user, struct text name)
{
	(void)user;
	(void)name;
	return NULL;
}

static struct source *find_source(void *user, struct text name)
{
	struct test *test = user;
	return text_equal(name, TEXT("north")) ? &test->source : NULL;
}

static void each(void *user, const char *kind, struct nearest *nearest)
{
	(void)user;
	(void)kind;
	(void)nearest;
}

/* ---- clients that read everything at once */

static struct reply *reserve(void *user, void *connection, size_t size)
{
	(void)user;
	(void)connection;
	struct reply *reply = malloc(sizeof(*reply) + size);
	assert_non_null(reply);
	*reply = (struct reply){(char *)(reply + 1), size};
	return reply;
}

static enum sent send_reply(void *user, void *connection, struct text envelope, struct reply *reply)
{
	struct test *test = user;
	(void)connection;
	(void)envelope;
	test->reply_size = reply->size;
	free(reply);
	return SENT_TAKEN;
}

static void observe(void *user, const struct record *record)
{
	struct test *test = user;
	feed_request(test->f.feed, record);
}

/* ---- set up */

static void make_engine(struct test *test)
{
	static const struct log silent = {.sink = NULL};
	const struct engine_limits limits = {
			.in_flight = 10,
			.per_client = 10,
			.bytes = 1 << 20,
			.deadline = 1000 * MS,
			.max_deadline = 1000 * MS,
			.client_stall = 1000 * MS,
			.json = test->json,
	};
	const struct engine_ops ops = {
			.reserve = reserve,
			.send = send_reply,
			.door = test,
			.observe = observe,
			.user = test,
	};
	test->engine = engine_new(&test->async, &limits, &ops, &silent);
	assert_non_null(test->engine);
}

static void compile(struct test *test)
{
	struct diag diag;
	diag_init(&diag, &test->arena);
	const struct option_map *root = conf_read(
			"test.yaml", text_of(pipelines_yaml), root_options, &test->arena, &diag);
	diag_print(&diag, stderr);
	assert_non_null(root);
	struct stages_context context = {
			.async = &test->async,
			.arena = &test->arena,
			.diag = &diag,
			.flights = engine_arenas(test->engine),
			.limits = &test->json,
			.max_deadline = 1000 * MS,
			.waiters_max = 10,
			.cache = find_cache,
			.database = find_database,
			.source = find_source,
			.each = each,
			.user = test,
	};
	test->pipelines = pipelines_compile(option_get(root, "pipelines")->map, &context, NULL);
	test->feeds = record_feeds_compile(option_get(root, "feeds")->map,
			option_get(root, "pipelines")->map, &test->async.random, &test->arena,
			&diag);
	diag_print(&diag, stderr);
	assert_int_equal(diag.errors, 0);
	record_feeds_attach(test->feeds, test->pipelines);
}

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	test->json = (struct json_limits){.bytes = 4096, .depth = 8, .values = 100};
	the_test = test;
	feed_fixture_init(&test->f);
	async_init(&test->async, START, 1);
	arena_init(&test->arena, NULL);
	make_engine(test);
	test->cache = memory_cache_new(
			"hot", 1 << 20, engine_account(test->engine), &test->async.random);
	assert_non_null(test->cache);
	test->source = (struct source){
			.ops = &source_ops,
			.name = "north",
			.ask_size = sizeof(struct ask),
			.limits = &test->json,
			.target = TEXT("quote"),
	};
	compile(test);
	test->generation = (struct generation){.pipelines = test->pipelines, .number = GENERATION};
	engine_use(test->engine, &test->generation);
	assert_int_equal(feed_use(test->f.feed, test->pipelines, test->feeds), 0);
	test->client = client_open(test->engine, test);
	test->subscriber = feed_subscriber(&test->f);
	feed_subscribe(&test->f, test->subscriber, "request.");
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	client_gone(test->client);
	pipelines_cancel(test->pipelines, DRAIN);
	pipelines_retire(test->pipelines);
	runner_drain(&test->async.runner, SIZE_MAX);
	assert_true(engine_idle(test->engine));
	record_feeds_close(test->feeds);
	pipelines_free(test->pipelines);
	test->cache->ops->free(test->cache);
	engine_free(test->engine);
	arena_deinit(&test->arena);
	zmq_close(test->subscriber);
	feed_fixture_deinit(&test->f);
	free(test);
	return 0;
}

/* ---- what happens, each at so many milliseconds */

static void receive(struct test *test, uint64_t ms, const char *message)
{
	async_enter(&test->async, START + ms * MS);
	engine_receive(test->engine, test->client, TEXT(""), text_of(message), test->async.now);
	(void)async_leave(&test->async);
}

static void answer(struct test *test, uint64_t ms, const char *value)
{
	async_enter(&test->async, START + ms * MS);
	test->ask->frame.outcome = outcome_ok(value_of(text_of(value)));
	assert_true(value_view(&test->ask->frame.outcome.value, test->ask->arena));
	frame_finish(&test->ask->frame);
	(void)async_leave(&test->async);
}

static void pass(struct test *test, uint64_t ms)
{
	async_enter(&test->async, START + ms * MS);
	(void)async_leave(&test->async);
}

/* The event of the request that was answered last. */
__attribute__((format(printf, 4, 5))) static void expect(
		struct test *test, const char *topic, uint64_t seq, const char *format, ...)
{
	char rest[1024];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(rest, sizeof(rest), format, arguments);
	va_end(arguments);
	feed_expect(test->subscriber, topic, seq, rest);
}

/* ---- tests */

static void test_a_miss_and_its_flight(void **state)
{
	struct test *test = *state;
	receive(test, 0, "product r1 100 trace=00-ab-cd-01\n{\"sku\":\"a\"}");
	answer(test, 3, "{\"price\":1}");
	expect(test, "request.product.OK", 1,
			",\"pipeline\":\"product\",\"id\":\"r1\",\"client\":\"c1\""
			",\"status\":\"OK\",\"reason\":null,\"us\":3000,\"queue_us\":0"
			",\"stages\":[{\"path\":\"product/1.cache\",\"us\":3000"
			",\"status\":\"OK\"},{\"path\":\"product/1.cache/1.fanout\""
			",\"us\":3000,\"status\":\"OK\",\"flight\":1}]"
			",\"sources\":[{\"stage\":\"product/1.cache/1.fanout\""
			",\"source\":\"north\",\"element\":null,\"us\":3000"
			",\"end\":\"won\",\"status\":\"OK\",\"flight\":1}]"
			",\"cache\":\"miss\",\"bytes_in\":44,\"bytes_out\":%zu"
			",\"parts\":0,\"losers\":0,\"wasted_us\":0"
			",\"generation\":7,\"trace\":\"00-ab-cd-01\"}",
			test->reply_size);
}

static void test_a_hit_has_no_stages_below_it(void **state)
{
	struct test *test = *state;
	receive(test, 0, "product r1 100\n{\"sku\":\"a\"}");
	answer(test, 3, "{\"price\":1}");
	receive(test, 4, "product r2 100\n{\"sku\":\"a\"}");
	struct published first;
	feed_read(test->subscriber, &first);
	expect(test, "request.product.OK", 2,
			",\"pipeline\":\"product\",\"id\":\"r2\",\"client\":\"c1\""
			",\"status\":\"OK\",\"reason\":null,\"us\":0,\"queue_us\":0"
			",\"stages\":[{\"path\":\"product/1.cache\",\"us\":0"
			",\"status\":\"OK\"}]"
			",\"sources\":[]"
			",\"cache\":\"hit\",\"bytes_in\":26,\"bytes_out\":%zu"
			",\"parts\":0,\"losers\":0,\"wasted_us\":0,\"generation\":7,\"trace\":"
			"null}",
			test->reply_size);
}

/* The flight began before the second request, and goes on after its end. */
static void test_who_is_cancelled_tells_of_a_flight_as_it_stands(void **state)
{
	struct test *test = *state;
	receive(test, 0, "product r1 100\n{\"sku\":\"a\"}");
	receive(test, 2, "product r2 100\n{\"sku\":\"a\"}");
	receive(test, 5, "$cancel r2 -");
	expect(test, "request.product.CANCELLED", 1,
			",\"pipeline\":\"product\",\"id\":\"r2\",\"client\":\"c1\""
			",\"status\":\"CANCELLED\",\"reason\":\"asked\""
			",\"us\":3000,\"queue_us\":0,\"stages\":["
			"{\"path\":\"product/1.cache\",\"us\":3000,\"status\":\"-\"},"
			"{\"path\":\"product/1.cache/1.fanout\",\"us\":5000"
			",\"status\":\"-\",\"flight\":1}]"
			",\"sources\":[{\"stage\":\"product/1.cache/1.fanout\""
			",\"source\":\"north\",\"element\":null,\"us\":5000"
			",\"end\":\"-\",\"status\":null,\"flight\":1}]"
			",\"cache\":\"joined\",\"bytes_in\":26,\"bytes_out\":%zu"
			",\"parts\":0,\"losers\":0,\"wasted_us\":0,\"generation\":7,\"trace\":"
			"null}",
			test->reply_size);
	answer(test, 6, "1");
	struct published event;
	feed_read(test->subscriber, &event);
	assert_string_equal(event.topic, "request.product.OK");
}

/* Not all that was cut off inside has ended when the reply leaves. */
static void test_a_timeout_inside(void **state)
{
	struct test *test = *state;
	receive(test, 0, "offer r1 100\n{\"sku\":\"a\"}");
	pass(test, 21);
	expect(test, "request.offer.UNAVAILABLE", 1,
			",\"pipeline\":\"offer\",\"id\":\"r1\",\"client\":\"c1\""
			",\"status\":\"UNAVAILABLE\",\"reason\":null"
			",\"us\":21000,\"queue_us\":0,\"stages\":["
			"{\"path\":\"offer/1.timeout\",\"us\":21000"
			",\"status\":\"UNAVAILABLE\"},"
			"{\"path\":\"offer/1.timeout/1.call\",\"us\":21000,\"status\":\"-\"},"
			"{\"path\":\"product/1.cache\",\"us\":21000"
			",\"status\":\"CANCELLED\"},"
			"{\"path\":\"product/1.cache/1.fanout\",\"us\":21000"
			",\"status\":\"-\",\"flight\":1}]"
			",\"sources\":[{\"stage\":\"product/1.cache/1.fanout\""
			",\"source\":\"north\",\"element\":null,\"us\":21000"
			",\"end\":\"-\",\"status\":null,\"flight\":1}]"
			",\"cache\":\"miss\",\"bytes_in\":24,\"bytes_out\":%zu"
			",\"parts\":0,\"losers\":1,\"wasted_us\":21000,\"generation\":7,\"trace\":"
			"null}",
			test->reply_size);
}

static void test_a_deadline(void **state)
{
	struct test *test = *state;
	receive(test, 0, "product r1 10\n{\"sku\":\"a\"}");
	pass(test, 12);
	struct published event;
	feed_read(test->subscriber, &event);
	assert_string_equal(event.topic, "request.product.DEADLINE_EXCEEDED");
	assert_non_null(strstr(event.rest, "\"reason\":\"deadline\",\"us\":12000,"));
}

static void test_no_pipeline_of_that_name(void **state)
{
	struct test *test = *state;
	receive(test, 0, "nothing r1 100 trace=a\"b");
	expect(test, "request.-.UNIMPLEMENTED", 1,
			",\"pipeline\":null,\"id\":\"r1\",\"client\":\"c1\""
			",\"status\":\"UNIMPLEMENTED\",\"reason\":null"
			",\"us\":0,\"queue_us\":0,\"stages\":[]"
			",\"sources\":[]"
			",\"cache\":null,\"bytes_in\":24,\"bytes_out\":%zu"
			",\"parts\":0,\"losers\":0,\"wasted_us\":0"
			",\"generation\":7,\"trace\":\"a\\\"b\"}",
			test->reply_size);
}

/* Two requests for one key: the second takes no time. */
static void miss_and_hit(struct test *test, uint64_t ms, char key)
{
	char message[64];
	for (int i = 0; i < 2; i++) {
		(void)snprintf(message, sizeof(message), "product %c%d 100\n{\"sku\":\"%c\"}", key,
				i, key);
		receive(test, ms + (uint64_t)i, message);
		if (i == 0)
			answer(test, ms, "1");
	}
}

/* Each feed is a topic of its own, with numbers of its own. */
static void test_feeds_are_told_after_the_request(void **state)
{
	struct test *test = *state;
	feed_unsubscribe(&test->f, test->subscriber, "request.");
	feed_subscribe(&test->f, test->subscriber, "feed.");
	receive(test, 0, "product r1 100\n{\"sku\":\"a\"}");
	answer(test, 3, "1");
	receive(test, 4, "product r2 100\n{\"sku\":\"b\"}");
	answer(test, 6, "1");
	receive(test, 7, "product r3 100\n{\"sku\":\"c\"}");
	answer(test, 12, "1");
	expect(test, "feed.slow", 1, ",\"id\":\"r1\",\"us\":3000}");
	expect(test, "feed.slow", 2, ",\"id\":\"r3\",\"us\":5000}");
}

/* What is usual is learned while nobody reads; events are counted, and not written. */
static void test_an_outlier_feed_learns_without_subscribers(void **state)
{
	struct test *test = *state;
	feed_unsubscribe(&test->f, test->subscriber, "request.");
	for (uint64_t i = 0; i < 3; i++)
		miss_and_hit(test, 10 * i, (char)('a' + i));
	receive(test, 40, "product r1 100\n{\"sku\":\"x\"}");
	answer(test, 41, "1");
	feed_subscribe(&test->f, test->subscriber, "outlier.odd");
	receive(test, 50, "product r2 100\n{\"sku\":\"y\"}");
	answer(test, 59, "1");
	expect(test, "outlier.odd", 2,
			",\"held\":{\"field\":\"us\",\"reading\":9000,\"mean\":0.143"
			",\"deviation\":0.350,\"samples\":7},\"id\":\"r2\"}");
	assert_int_equal(feed_dropped(test->f.feed), 0);
	struct buffer stats;
	buffer_init(&stats);
	feed_write_stats(test->f.feed, &stats);
	buffer_append_char(&stats, '\0');
	assert_string_equal(buffer_text(&stats).data,
			",\"feeds\":{\"slow\":{\"events\":1},\"odd\":{\"events\":2"
			",\"samples\":8,\"mean\":0.318,\"deviation\":0.567}}");
	buffer_deinit(&stats);
}

static void test_no_readable_id(void **state)
{
	struct test *test = *state;
	receive(test, 0, "what");
	struct published event;
	feed_read(test->subscriber, &event);
	assert_string_equal(event.topic, "request.-.INVALID_ARGUMENT");
	assert_non_null(strstr(event.rest, ",\"pipeline\":null,\"id\":null,\"client\":\"c1\","));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_a_miss_and_its_flight),
			TEST(test_a_hit_has_no_stages_below_it),
			TEST(test_who_is_cancelled_tells_of_a_flight_as_it_stands),
			TEST(test_a_timeout_inside),
			TEST(test_a_deadline),
			TEST(test_no_pipeline_of_that_name),
			TEST(test_feeds_are_told_after_the_request),
			TEST(test_an_outlier_feed_learns_without_subscribers),
			TEST(test_no_readable_id),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
