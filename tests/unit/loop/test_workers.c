/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/loop/workers.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/live.h"
#include "tests/unit/loop/loop_fixture.h"

#define WORKERS_MAX 4
#define WORKS_MAX   200
#define FOREVER	    UINT64_MAX

struct test;

struct job {
	struct work work;
	struct test *test;
	void *ran_on; /* the state */
	bool gated;   /* says that it has begun, and waits for `gate` */
	bool meets;   /* waits until as many as `meeting` wants run at once */
	bool deaf;    /* ran in a thread that SIGTERM can't reach */
	bool done;
};

struct test {
	struct loop_fixture f;
	struct workers *workers;
	pthread_t loop_thread;
	sem_t begun;
	sem_t gate;
	pthread_barrier_t meeting;
	void *states[WORKERS_MAX];
	struct job jobs[WORKS_MAX];
	int order[WORKS_MAX]; /* in which they were done */
	int done;
	int wanted;
};

static void run(void *state, struct work *work)
{
	struct job *job = container_of(work, struct job, work);
	sigset_t mask;
	job->ran_on = state;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	job->deaf = sigismember(&mask, SIGTERM) == 1;
	if (job->meets)
		(void)pthread_barrier_wait(&job->test->meeting);
	if (job->gated) {
		sem_post(&job->test->begun);
		while (sem_wait(&job->test->gate) != 0)
			continue;
	}
}

static void on_done(void *user, struct work *work)
{
	struct test *test = user;
	struct job *job = container_of(work, struct job, work);
	assert_true(pthread_equal(pthread_self(), test->loop_thread));
	assert_int_equal(test->f.loop.depth, 1);
	assert_false(job->done);
	job->done = true;
	test->order[test->done++] = (int)(job - test->jobs);
}

static const struct workers_ops ops = {.run = run, .done = on_done};

static int set_up(void **state)
{
	struct test *test = calloc(1, sizeof(*test));
	assert_non_null(test);
	loop_fixture_init(&test->f);
	test->loop_thread = pthread_self();
	assert_int_equal(sem_init(&test->begun, 0, 0), 0);
	assert_int_equal(sem_init(&test->gate, 0, 0), 0);
	assert_int_equal(pthread_barrier_init(&test->meeting, NULL, WORKERS_MAX), 0);
	for (int i = 0; i < WORKERS_MAX; i++)
		test->states[i] = &test->states[i];
	for (int i = 0; i < WORKS_MAX; i++)
		test->jobs[i].test = test;
	*state = test;
	return 0;
}

static int tear_down(void **state)
{
	struct test *test = *state;
	if (test->workers)
		assert_true(workers_free(test->workers, FOREVER));
	pthread_barrier_destroy(&test->meeting);
	sem_destroy(&test->gate);
	sem_destroy(&test->begun);
	loop_fixture_deinit(&test->f);
	free(test);
	return live_report();
}

static void start(struct test *test, size_t count)
{
	int error = -1;
	test->workers = workers_new(&test->f.loop, "test", &ops, test, test->states, count, &error);
	assert_non_null(test->workers);
	assert_int_equal(error, 0);
}

static void wait_begun(struct test *test)
{
	while (sem_wait(&test->begun) != 0)
		continue;
}

static bool all_done(void *user)
{
	struct test *test = user;
	return test->done == test->wanted;
}

static void test_one_worker_takes_jobs_in_their_order(void **state)
{
	struct test *test = *state;
	start(test, 1);
	test->wanted = WORKS_MAX;
	for (int i = 0; i < WORKS_MAX; i++)
		workers_give(test->workers, &test->jobs[i].work);
	loop_fixture_run_until(&test->f, all_done, test);
	for (int i = 0; i < WORKS_MAX; i++) {
		assert_int_equal(test->order[i], i);
		assert_ptr_equal(test->jobs[i].ran_on, test->states[0]);
		assert_true(test->jobs[i].deaf);
	}
}

static void test_workers_run_at_once_each_with_its_state(void **state)
{
	struct test *test = *state;
	start(test, WORKERS_MAX);
	test->wanted = WORKERS_MAX;
	for (int i = 0; i < WORKERS_MAX; i++) {
		test->jobs[i].meets = true;
		workers_give(test->workers, &test->jobs[i].work);
	}
	loop_fixture_run_until(&test->f, all_done, test);
	for (int i = 0; i < WORKERS_MAX; i++)
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(test->jobs[i].ran_on, test->jobs[j].ran_on);
}

static void test_what_is_taken_back_never_runs(void **state)
{
	struct test *test = *state;
	start(test, 1);
	test->jobs[0].gated = true;
	for (int i = 0; i < 3; i++)
		workers_give(test->workers, &test->jobs[i].work);
	wait_begun(test);
	assert_false(workers_take_back(test->workers, &test->jobs[0].work));
	assert_true(workers_take_back(test->workers, &test->jobs[1].work));
	assert_false(workers_take_back(test->workers, &test->jobs[1].work));
	sem_post(&test->gate);
	test->wanted = 2;
	loop_fixture_run_until(&test->f, all_done, test);
	assert_false(workers_take_back(test->workers, &test->jobs[2].work));
	assert_null(test->jobs[1].ran_on);
	assert_false(test->jobs[1].done);
	assert_true(test->jobs[2].done);
}

static void test_a_job_may_be_given_again(void **state)
{
	struct test *test = *state;
	start(test, 1);
	test->wanted = 1;
	workers_give(test->workers, &test->jobs[0].work);
	loop_fixture_run_until(&test->f, all_done, test);
	test->jobs[0].done = false;
	test->wanted = 2;
	workers_give(test->workers, &test->jobs[0].work);
	loop_fixture_run_until(&test->f, all_done, test);
}

static void test_freeing_hands_out_what_has_run(void **state)
{
	struct test *test = *state;
	start(test, 1);
	test->jobs[0].gated = true;
	workers_give(test->workers, &test->jobs[0].work);
	wait_begun(test);
	sem_post(&test->gate);
	assert_true(workers_free(test->workers, FOREVER));
	test->workers = NULL;
	assert_true(test->jobs[0].done);
}

static void test_a_thread_that_does_not_come_back_is_left(void **state)
{
	struct test *test = *state;
	start(test, 2);
	test->jobs[0].gated = true;
	workers_give(test->workers, &test->jobs[0].work);
	wait_begun(test);
	assert_false(workers_free(test->workers, loop_now()));
	assert_false(workers_free(test->workers, loop_now() + 1000000));
	assert_false(test->jobs[0].done);
	sem_post(&test->gate);
	assert_true(workers_free(test->workers, FOREVER));
	test->workers = NULL;
	assert_true(test->jobs[0].done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
			TEST(test_one_worker_takes_jobs_in_their_order),
			TEST(test_workers_run_at_once_each_with_its_state),
			TEST(test_what_is_taken_back_never_runs),
			TEST(test_a_job_may_be_given_again),
			TEST(test_freeing_hands_out_what_has_run),
			TEST(test_a_thread_that_does_not_come_back_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
