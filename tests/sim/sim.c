/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulator's command line. Each history runs in a process of its own, so that one that crashes
 * is a finding like any other; what they met is counted in memory that they share.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/history.h"

/* What a child leaves behind. */
struct shared {
	struct coverage coverage;
	struct verdict verdict;
};

struct settings {
	uint64_t first;
	uint64_t count;
	uint64_t seconds; /* 0: count decides */
	size_t requests;
	bool trace;
	bool shrink;
	bool tap;
};

static const char usage[] = "usage: sim [OPTION...]\n"
			    "  --seed N        run seed N alone, and write what happens\n"
			    "  --first N       the first seed (default 1)\n"
			    "  --seeds N       so many seeds (default 100)\n"
			    "  --seconds N     seeds until so much time has passed\n"
			    "  --requests N    in each history (default 1000)\n"
			    "  --no-shrink     do not look for the least that still fails\n"
			    "  --tap           report as TAP\n";

static struct shared *shared;

static void run_child(const struct plan *plan, bool traced)
{
	shared->verdict = history_run(plan, &shared->coverage, traced);
	(void)fflush(stdout);
	if (shared->verdict.failed)
		_exit(1);
	exit(0);
}

/* Runs a plan in a child. False: it failed, or crashed. */
static bool run(const struct plan *plan, bool traced, bool silent)
{
	(void)fflush(stdout);
	shared->verdict = (struct verdict){.complaint = "it crashed"};
	pid_t child = fork();
	if (child < 0) {
		perror("fork");
		exit(2);
	}
	if (child == 0) {
		if (silent && !freopen("/dev/null", "w", stderr))
			_exit(2);
		run_child(plan, traced);
	}
	int status;
	if (waitpid(child, &status, 0) != child)
		abort();
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static size_t count_acts(const struct plan *plan)
{
	size_t count = 0;
	for (size_t i = 0; i < plan->act_count; i++)
		count += !plan->acts[i].left_out;
	return count;
}

/* Leaves out acts from `from`, as long as `size` are not left out yet; returns where it ended. */
static size_t leave_out(struct plan *plan, size_t from, size_t size)
{
	size_t i = from;
	for (; i < plan->act_count && size > 0; i++) {
		if (plan->acts[i].left_out)
			continue;
		plan->acts[i].left_out = true;
		size--;
	}
	return i;
}

/* Whether two complaints are of one kind: they may differ in their numbers. */
static bool alike(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "0123456789");
		b += strspn(b, "0123456789");
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
	}
}

/* Whether a plan still fails in that way. */
static bool still_fails(const struct plan *plan, const char *complaint)
{
	return !run(plan, false, true) && alike(shared->verdict.complaint, complaint);
}

/*
 * Leaves out ever smaller parts as long as the rest still fails (Zeller and Hildebrandt 2002, the
 * complements of delta debugging).
 */
static void shrink(struct plan *plan)
{
	struct verdict first = shared->verdict;
	bool *kept = malloc(plan->act_count * sizeof(*kept));
	if (!kept)
		abort();
	for (size_t size = count_acts(plan) / 2; size > 0; size /= 2) {
		for (size_t from = 0; from < plan->act_count;) {
			for (size_t i = 0; i < plan->act_count; i++)
				kept[i] = plan->acts[i].left_out;
			size_t to = leave_out(plan, from, size);
			if (!still_fails(plan, first.complaint)) {
				for (size_t i = 0; i < plan->act_count; i++)
					plan->acts[i].left_out = kept[i];
			}
			from = to;
		}
	}
	free(kept);
}

/* What a trace does not show, and follows from the seed. */
static void print_turns(const struct plan *plan)
{
	if (plan->tasks_per_turn > 0)
		printf("# a turn does %zu tasks at most\n", plan->tasks_per_turn);
}

static void report(struct plan *plan, const struct settings *settings)
{
	printf("# seed %" PRIu64 " failed at step %" PRIu64 ", %.3f ms: %s\n", plan->seed,
			shared->verdict.step, shared->verdict.ms, shared->verdict.complaint);
	if (!settings->trace)
		print_turns(plan);
	if (!settings->shrink)
		return;
	shrink(plan);
	printf("# the least that still fails: %zu of %zu acts\n%s---\n", count_acts(plan),
			plan->act_count, plan->configuration.yaml.data);
	(void)run(plan, true, false);
	printf("# step %" PRIu64 ", %.3f ms: %s\n", shared->verdict.step, shared->verdict.ms,
			shared->verdict.complaint);
}

static bool run_seed(uint64_t seed, const struct settings *settings)
{
	struct plan plan;
	if (!plan_init(&plan, seed, settings->requests)) {
		(void)fprintf(stderr, "sim: out of memory\n");
		exit(2);
	}
	if (settings->trace)
		print_turns(&plan);
	bool ok = run(&plan, settings->trace, false);
	if (!ok)
		report(&plan, settings);
	plan_deinit(&plan);
	return ok;
}

static uint64_t number(const char *argument)
{
	char *end;
	uint64_t value = strtoull(argument, &end, 10);
	if (*argument == '\0' || *end != '\0') {
		(void)fprintf(stderr, "sim: \"%s\" is not a number\n%s", argument, usage);
		exit(2);
	}
	return value;
}

static struct settings read_settings(int argc, char **argv)
{
	static const struct option options[] = {
			{"seed", required_argument, NULL, 'o'},
			{"first", required_argument, NULL, 'f'},
			{"seeds", required_argument, NULL, 'n'},
			{"seconds", required_argument, NULL, 's'},
			{"requests", required_argument, NULL, 'r'},
			{"no-shrink", no_argument, NULL, 'S'},
			{"tap", no_argument, NULL, 't'},
			{"help", no_argument, NULL, 'h'},
			{NULL, 0, NULL, 0},
	};
	struct settings settings = {.first = 1, .count = 100, .requests = 1000, .shrink = true};
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'o':
			settings.first = number(optarg);
			settings.count = 1;
			settings.trace = true;
			settings.shrink = false;
			break;
		case 'f':
			settings.first = number(optarg);
			break;
		case 'n':
			settings.count = number(optarg);
			break;
		case 's':
			settings.seconds = number(optarg);
			break;
		case 'r':
			settings.requests = number(optarg);
			break;
		case 'S':
			settings.shrink = false;
			break;
		case 't':
			settings.tap = true;
			break;
		case 'h':
			printf("%s", usage);
			exit(0);
		default:
			(void)fprintf(stderr, "%s", usage);
			exit(2);
		}
	}
	return settings;
}

static bool goes_on(const struct settings *settings, uint64_t done, time_t begin)
{
	if (settings->seconds)
		return (uint64_t)(time(NULL) - begin) < settings->seconds;
	return done < settings->count;
}

static void report_tap(uint64_t seeds, bool *ok)
{
	bool enough = true;
	printf("1..%d\n%sok 1 - %" PRIu64 " histories in which all is right\n",
			*ok ? 1 + coverage_check_count() : 1, *ok ? "" : "not ", seeds);
	if (*ok)
		(void)coverage_check(&shared->coverage, 2, &enough);
	*ok = *ok && enough;
}

int main(int argc, char **argv)
{
	struct settings settings = read_settings(argc, argv);
	time_t begin = time(NULL);
	uint64_t done = 0;
	bool ok = true;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	for (; ok && goes_on(&settings, done, begin); done++)
		ok = run_seed(settings.first + done, &settings);
	if (ok)
		coverage_print(&shared->coverage);
	printf("# %" PRIu64 " seeds from %" PRIu64 ", %zu requests each: %s\n", done,
			settings.first, settings.requests, ok ? "all is right" : "FAILED");
	if (settings.tap)
		report_tap(done, &ok);
	return ok ? 0 : 1;
}
