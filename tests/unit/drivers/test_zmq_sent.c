/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted of messages on their way, when it is given back, and memory that is out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zmq.h>

#include "pipeline/base/live.h"
#include "pipeline/drivers/zmq_sent.h"
#include "tests/unit/allocations.h"

#define SMALL 256 /* as in pipeline/drivers/zmq_sent.c */

/* ---- what the linker puts in the place of libzmq's */

static bool libzmq_fails;

int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __real_zmq_msg_init_data(
		zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data, void *hint);
int __wrap_zmq_msg_init_data(
		zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data, void *hint);

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
	return libzmq_fails ? -1 : __real_zmq_msg_init_size(message, size);
}

int __wrap_zmq_msg_init_data(
		zmq_msg_t *message, void *data, size_t size, zmq_free_fn *free_data, void *hint)
{
	return libzmq_fails ? -1 : __real_zmq_msg_init_data(message, data, size, free_data, hint);
}

/* ---- */

static void test_only_what_is_large_is_counted(void **state)
{
	struct zmq_sent *sent = zmq_sent_new();
	zmq_msg_t small, large;
	assert_non_null(sent);
	char *data = zmq_sent_init(sent, &small, SMALL);
	assert_non_null(data);
	memset(data, 'x', SMALL);
	zmq_sent_written(data, SMALL);
	assert_int_equal(zmq_sent_bytes(sent), 0);
	data = zmq_sent_init(sent, &large, SMALL + 1);
	assert_non_null(data);
	memset(data, 'y', SMALL + 1);
	zmq_sent_written(data, SMALL + 1);
	assert_int_equal(zmq_sent_bytes(sent), SMALL + 1);
	assert_int_equal(zmq_msg_size(&large), SMALL + 1);
	assert_ptr_equal(zmq_msg_data(&large), data);
	(void)zmq_msg_close(&small);
	assert_int_equal(zmq_sent_bytes(sent), SMALL + 1);
	(void)zmq_msg_close(&large);
	assert_int_equal(zmq_sent_bytes(sent), 0);
	assert_null(zmq_sent_free(sent));
}

static void test_what_comes_back_after_the_source_is_gone(void **state)
{
	struct zmq_sent *sent = zmq_sent_new();
	zmq_msg_t messages[2];
	assert_non_null(sent);
	for (int i = 0; i < 2; i++)
		assert_non_null(zmq_sent_init(sent, &messages[i], 1000));
	assert_null(zmq_sent_free(sent));
	for (int i = 0; i < 2; i++)
		(void)zmq_msg_close(&messages[i]);
	assert_null(zmq_sent_free(NULL));
}

/* Nothing is counted then, and nothing is left. */
static void test_memory_is_out(void **state)
{
	static const size_t sizes[] = {1, SMALL, SMALL + 1, 100000};
	struct zmq_sent *sent = zmq_sent_new();
	zmq_msg_t message;
	assert_non_null(sent);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		libzmq_fails = true;
		assert_null(zmq_sent_init(sent, &message, sizes[i]));
		libzmq_fails = false;
	}
	allocations_fail_after(0);
	assert_null(zmq_sent_init(sent, &message, SMALL + 1));
	assert_null(zmq_sent_new());
	allocations_heal();
	assert_int_equal(zmq_sent_bytes(sent), 0);
	assert_null(zmq_sent_free(sent));
}

static int tear_down(void **state)
{
	return live_report();
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_only_what_is_large_is_counted),
			TEST(test_what_comes_back_after_the_source_is_gone),
			TEST(test_memory_is_out),
	};
	return cmocka_run_group_tests_name("drivers/zmq_sent", tests, NULL, NULL);
}
