/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to read a JSON document: ours beside others, in nanoseconds of CPU time. They take
 * turns in short rounds, so that whatever else runs on the machine falls on all alike; what is
 * printed is the median of each one's rounds, a line of JSON for each size of document.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/base/buffer.h"
#include "tests/bench/parsers.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NS_PER_S     UINT64_C(1000000000)
#define ROUND_NS     (20 * NS_PER_S / 1000)
#define ROUNDS	     9

static const struct parser {
	const char *name;
	bool (*parse)(struct text document);
} parsers[] = {
		{"sluice", parse_with_sluice},
		{"jansson", parse_with_jansson},
		{"jsmn", parse_with_jsmn},
};

static uint64_t cpu_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* As many products as fit, and a string that fills up; below that one of a request's usual size. */
static void write_document(struct buffer *buffer, size_t size)
{
	static const char product[] =
			"{\"sku\":\"product-%010u\",\"name\":\"Product %u\",\"price\":"
			"%u.25,\"sold\":true,\"symbols\":[\"P%u-SPOT\",\"P%u-3M\"]},";
	if (size < 2 * sizeof(product)) {
		buffer_append_format(
				buffer, "{\"sku\":\"product-%010u\",\"country\":\"GB\",\"", 17U);
		buffer_append_format(buffer, "currency\":\"GBP\"}");
		return;
	}
	buffer_append_char(buffer, '[');
	for (unsigned i = 1000; buffer->size + 2 * sizeof(product) < size; i++)
		buffer_append_format(buffer, product, i, i, i, i, i);
	buffer_append_format(buffer, "\"%*s\"]", (int)(size - buffer->size - 3), "");
}

static double time_once(const struct parser *parser, struct text document)
{
	uint64_t count = 0, batch = 1 + 20000 / document.size;
	uint64_t begun = cpu_ns(), now = begun;
	for (; now - begun < ROUND_NS; now = cpu_ns()) {
		for (uint64_t i = 0; i < batch; i++) {
			if (!parser->parse(document)) {
				(void)fprintf(stderr, "%s refuses a document\n", parser->name);
				exit(1);
			}
		}
		count += batch;
	}
	return (double)(now - begun) / (double)count;
}

static int compare(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;
	return (one > other) - (one < other);
}

static void measure(struct text document)
{
	double ns[COUNT(parsers)][ROUNDS];
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < COUNT(parsers); i++)
			ns[i][round] = time_once(&parsers[i], document);
	}
	(void)printf("{\"bytes\":%zu", document.size);
	for (size_t i = 0; i < COUNT(parsers); i++) {
		qsort(ns[i], ROUNDS, sizeof(ns[i][0]), compare);
		(void)printf(",\"%s\":%.1f", parsers[i].name, ns[i][ROUNDS / 2]);
	}
	(void)printf("}\n");
}

int main(void)
{
	static const size_t sizes[] = {60, 1024, 65536};
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buffer buffer;
		buffer_init(&buffer);
		write_document(&buffer, sizes[i]);
		struct text document = buffer_text(&buffer);
		if (document.size != sizes[i]) {
			(void)fprintf(stderr, "a document of %zu bytes\n", document.size);
			return 1;
		}
		measure(document);
		buffer_deinit(&buffer);
	}
	return 0;
}
