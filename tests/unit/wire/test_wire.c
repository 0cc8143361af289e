/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/wire/wire.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define X8   "xxxxxxxx"
#define X31  X8 X8 X8 "xxxxxxx"
#define X32  X8 X8 X8 X8
#define X63  X32 X31
#define X64  X32 X32
#define X128 X64 X64
#define X256 X128 X128

#define ABSENT                                                                                     \
	{                                                                                          \
		NULL, 0                                                                            \
	}
#define T(literal)                                                                                 \
	{                                                                                          \
		(literal), sizeof(literal) - 1                                                     \
	}

static void assert_text(struct text text, struct text expected)
{
	assert_int_equal(text.data == NULL, expected.data == NULL);
	assert_int_equal(text.size, expected.size);
	if (expected.size > 0)
		assert_memory_equal(text.data, expected.data, expected.size);
}

/* A block of just the message's size, so that a sanitizer sees a read behind its end. */
static char *block_of(struct text message)
{
	char *block = malloc(message.size ? message.size : 1);
	assert_non_null(block);
	if (message.size > 0)
		memcpy(block, message.data, message.size);
	return block;
}

static const char *parse_request(struct text message, struct wire_request *ret, char **ret_block)
{
	*ret_block = block_of(message);
	return wire_parse_request((struct text){*ret_block, message.size}, ret);
}

static const char *parse_reply(struct text message, struct wire_reply *ret, char **ret_block)
{
	*ret_block = block_of(message);
	return wire_parse_reply((struct text){*ret_block, message.size}, ret);
}

/* The parts of `product 17 BUDGET` and of `p 1 1`. */
#define PRODUCT(budget) .target = T("product"), .id = T("17"), .budget_ms = (budget)
#define MINIMAL		.target = T("p"), .id = T("1"), .budget_ms = 1

/* clang-format off */
static const struct {
	struct text message;
	struct wire_request request;
} good_requests[] = {
	{T("product 17 250"), {PRODUCT(250)}},
	{T("product 17 250\n"), {PRODUCT(250)}},
	{T("product 17 250\n{}"), {PRODUCT(250), .body = T("{}")}},
	{T("product 17 250\n\n"), {PRODUCT(250), .body = T("\n")}},
	{T("p 1 1\n{\"a\":\"\0\xff\r\n\"}"), {MINIMAL, .body = T("{\"a\":\"\0\xff\r\n\"}")}},
	{T("product 17 -"), {PRODUCT(WIRE_BUDGET_NONE)}},
	{T("product 17 - stream=1"), {PRODUCT(WIRE_BUDGET_NONE), .stream = true}},
	{T("product 17 0"), {PRODUCT(0)}},
	{T("product 17 000000000"), {PRODUCT(0)}},
	{T("product 17 000000012"), {PRODUCT(12)}},
	{T("product 17 999999999"), {PRODUCT(999999999)}},
	{T("$ping 17 100"), {.target = T("$ping"), .id = T("17"), .budget_ms = 100}},
	{T("$cancel a:b -"),
		{.target = T("$cancel"), .id = T("a:b"), .budget_ms = WIRE_BUDGET_NONE}},
	{T("a-Z_09 azAZ09_.:- 1"), {.target = T("a-Z_09"), .id = T("azAZ09_.:-"), .budget_ms = 1}},
	{T("- -- 1"), {.target = T("-"), .id = T("--"), .budget_ms = 1}},
	{T("- .- 1"), {.target = T("-"), .id = T(".-"), .budget_ms = 1}},
	{T(X64 " " X64 " 1"), {.target = T(X64), .id = T(X64), .budget_ms = 1}},
	{T("$" X63 " 1 1"), {.target = T("$" X63), .id = T("1"), .budget_ms = 1}},
	{T("p 1 1 trace=00-ab-01"), {MINIMAL, .trace = T("00-ab-01")}},
	{T("p 1 1 trace=00-ab-01 stream=1 fresh=1\n{}"),
		{MINIMAL, .trace = T("00-ab-01"), .stream = true, .fresh = true, .body = T("{}")}},
	{T("p 1 1 trace="), {MINIMAL, .trace = T("")}},
	{T("p 1 1 trace= fresh=1"), {MINIMAL, .trace = T(""), .fresh = true}},
	{T("p 1 1 trace=a=b==!~"), {MINIMAL, .trace = T("a=b==!~")}},
	{T("p 1 1 trace=" X128), {MINIMAL, .trace = T(X128)}},
	/* The first of a repeated key counts. */
	{T("p 1 1 trace=a trace=b"), {MINIMAL, .trace = T("a")}},
	{T("p 1 1 trace= trace=b"), {MINIMAL, .trace = T("")}},
	{T("p 1 1 stream=0 stream=1"), {MINIMAL}},
	{T("p 1 1 stream=1 stream=0"), {MINIMAL, .stream = true}},
	{T("p 1 1 fresh= fresh=1"), {MINIMAL}},
	/* A value that the key can't have. */
	{T("p 1 1 stream=2 fresh=true"), {MINIMAL}},
	{T("p 1 1 stream=11 fresh=01"), {MINIMAL}},
	/* Unknown keys. */
	{T("p 1 1 traces=a trac=b _=c"), {MINIMAL}},
	{T("p 1 1 " X32 "=1 fresh=1"), {MINIMAL, .fresh = true}},
	{T("p 1 1 us=1 cache=hit"), {MINIMAL}},
};
/* clang-format on */

static void test_good_requests(void **state)
{
	for (size_t i = 0; i < COUNT(good_requests); i++) {
		const struct wire_request *expected = &good_requests[i].request;
		struct wire_request request;
		char *block;
		assert_null(parse_request(good_requests[i].message, &request, &block));
		assert_text(request.target, expected->target);
		assert_text(request.id, expected->id);
		assert_int_equal(request.budget_ms, expected->budget_ms);
		assert_text(request.trace, expected->trace);
		assert_int_equal(request.stream, expected->stream);
		assert_int_equal(request.fresh, expected->fresh);
		assert_text(request.body, expected->body);
		free(block);
	}
}

/* What each fault is named by, and the id that can be read all the same. */
static const struct {
	struct text message;
	const char *says;
	struct text id;
} bad_requests[] = {
		{ABSENT, "target", ABSENT},
		{T(""), "target", ABSENT},
		{T("\n"), "target", ABSENT},
		{T("\n{}"), "target", ABSENT},
		{T(" "), "target", ABSENT},
		{T("\0"), "target", ABSENT},
		{T("{\"sku\":\"A1\"}"), "target", ABSENT},
		/* Missing parts. */
		{T("product"), "id is missing", ABSENT},
		{T("product\n"), "id is missing", ABSENT},
		{T("product\n{}"), "id is missing", ABSENT},
		{T("product 17"), "budget is missing", T("17")},
		{T("product 17\n"), "budget is missing", T("17")},
		{T("product 17\n1"), "budget is missing", T("17")},
		{T("product\n17 100"), "id is missing", ABSENT},
		/* Spaces that are too many, and what isn't a space. */
		{T(" product 17 100"), "target", ABSENT},
		{T("product  17 100"), "one space", ABSENT},
		{T("product 17  100"), "one space", T("17")},
		{T("product 17 100 "), "one space", T("17")},
		{T("product 17 100 \n{}"), "one space", T("17")},
		{T("product 17 100  "), "one space", T("17")},
		{T("product 17 100  fresh=1"), "one space", T("17")},
		{T("product 17 100 fresh=1 "), "one space", T("17")},
		{T("product 17 100 fresh=1  stream=1"), "one space", T("17")},
		{T("product "), "one space", ABSENT},
		{T("product \n"), "one space", ABSENT},
		{T("product 17 "), "one space", T("17")},
		{T("product 17 \n"), "one space", T("17")},
		{T("product\t17 100"), "target", T("100")},
		{T("product 17\t100"), "the id", ABSENT},
		{T("product 17 100\tfresh=1"), "budget", T("17")},
		/* A CR. */
		{T("product 17 100\r\n{}"), "without CR", T("17")},
		{T("product 17 100\r"), "without CR", T("17")},
		{T("product 17\r\n"), "without CR", ABSENT},
		{T("product\r\n"), "without CR", ABSENT},
		{T("\r\n"), "without CR", ABSENT},
		{T("product 17 100 fresh=1\r\n"), "without CR", T("17")},
		{T("product 17 100 fresh\r=1\n"), "without CR", T("17")},
		/* Targets. */
		{T(X64 "x 17 100"), "target", T("17")},
		{T("$" X64 " 17 100"), "target", T("17")},
		{T("$ 17 100"), "target", T("17")},
		{T("$$ping 17 100"), "target", T("17")},
		{T("pro$duct 17 100"), "target", T("17")},
		{T("a.b 17 100"), "target", T("17")},
		{T("a/b 17 100"), "target", T("17")},
		{T("a:b 17 100"), "target", T("17")},
		{T("pr\0duct 17 100"), "target", T("17")},
		{T("pr\303\266duct 17 100"), "target", T("17")},
		{T("product\x7f 17 100"), "target", T("17")},
		/* Ids. */
		{T("product - 100"), "not - alone", ABSENT},
		{T("product - -"), "not - alone", ABSENT},
		{T("product -"), "budget is missing", ABSENT},
		{T("product " X64 "x 100"), "the id", ABSENT},
		{T("product 1/7 100"), "the id", ABSENT},
		{T("product 1=7 100"), "the id", ABSENT},
		{T("product 1\0007 100"), "the id", ABSENT},
		{T("product \xff 100"), "the id", ABSENT},
		{T("product \"17\" 100"), "the id", ABSENT},
		{T("product 17\r 100"), "without CR", ABSENT},
		/* Budgets. */
		{T("product 17 1000000000"), "budget", T("17")},
		{T("product 17 0000000000"), "budget", T("17")},
		{T("product 17 99999999999999999999999"), "budget", T("17")},
		{T("product 17 -1"), "budget", T("17")},
		{T("product 17 +1"), "budget", T("17")},
		{T("product 17 --"), "budget", T("17")},
		{T("product 17 1-"), "budget", T("17")},
		{T("product 17 1.5"), "budget", T("17")},
		{T("product 17 1e3"), "budget", T("17")},
		{T("product 17 0x10"), "budget", T("17")},
		{T("product 17 250ms"), "budget", T("17")},
		{T("product 17 fresh=1"), "budget", T("17")},
		{T("product 17 1\0"), "budget", T("17")},
		{T("product 17 \xb1"), "budget", T("17")},
		/* Keys. */
		{T("product 17 100 fresh"), "key", T("17")},
		{T("product 17 100 fresh\n"), "key", T("17")},
		{T("product 17 100 =1"), "key", T("17")},
		{T("product 17 100 ="), "key", T("17")},
		{T("product 17 100 Fresh=1"), "key", T("17")},
		{T("product 17 100 frEsh=1"), "key", T("17")},
		{T("product 17 100 fresh1=1"), "key", T("17")},
		{T("product 17 100 fre-sh=1"), "key", T("17")},
		{T("product 17 100 fre\0sh=1"), "key", T("17")},
		{T("product 17 100 \xe9=1"), "key", T("17")},
		{T("product 17 100 fresh =1"), "key", T("17")},
		{T("product 17 100 fresh= 1"), "key", T("17")},
		{T("product 17 100 " X32 "x=1"), "key", T("17")},
		{T("product 17 100 fresh=1 " X32 "x=1"), "key", T("17")},
		{T("product 17 100 {}"), "key", T("17")},
		/* Values. */
		{T("product 17 100 trace=" X128 "x"), "value", T("17")},
		{T("product 17 100 trace=" X128 "x fresh=1"), "value", T("17")},
		{T("product 17 100 trace=a\tb"), "value", T("17")},
		{T("product 17 100 trace=a\0b"), "value", T("17")},
		{T("product 17 100 trace=a\x7f"), "value", T("17")},
		{T("product 17 100 trace=\xc3\xa9"), "value", T("17")},
		{T("product 17 100 trace=\x80"), "value", T("17")},
		{T("product 17 100 unknown=\xff"), "value", T("17")},
		/* An id is read from a header of the allowed size only. */
		{T(X256 " 17 100"), "target", T("17")},
		{T(X256 X256 " 17 100"), "over 512", ABSENT},
		{T(X256 X128 X64 X32 X8 X8 X8 "xxxx 17 100"), "target", T("17")},
		{T(X256 X128 X64 X32 X8 X8 X8 "xxxxx 17 100"), "target", ABSENT},
};

static void test_bad_requests(void **state)
{
	for (size_t i = 0; i < COUNT(bad_requests); i++) {
		struct wire_request request;
		char *block;
		const char *wrong = parse_request(bad_requests[i].message, &request, &block);
		assert_non_null(wrong);
		if (strstr(wrong, bad_requests[i].says) == NULL)
			fail_msg("row %zu says \"%s\"", i, wrong);
		if (!text_equal(request.id, bad_requests[i].id))
			fail_msg("row %zu reads id \"%.*s\"", i, TEXT_ARG(request.id));
		assert_null(request.target.data);
		assert_null(request.body.data);
		free(block);
	}
	struct wire_request request;
	assert_non_null(wire_parse_request((struct text){NULL, 0}, &request));
}

static size_t put(char *at, struct text t)
{
	memcpy(at, t.data, t.size);
	return t.size;
}

/* A header of just that size: keys with the largest values, and the last ones cut to fit. */
static size_t fill_header(char *at, size_t size)
{
	size_t used = put(at, TEXT("p 1 1"));
	while (used < size) {
		size_t left = size - used;
		size_t pair = left <= 131 ? left : left < 134 ? 66 : 131;
		memset(at + used, 'x', pair);
		(void)put(at + used, TEXT(" k="));
		used += pair;
	}
	return used;
}

static void test_header_size(void **state)
{
	char message[600];
	static const struct {
		size_t size;
		bool fits;
	} cases[] = {{511, true}, {512, true}, {513, false}, {514, false}, {590, false}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t size = fill_header(message, cases[i].size);
		assert_int_equal(size, cases[i].size);
		struct wire_request request;
		char *block;
		const char *wrong = parse_request((struct text){message, size}, &request, &block);
		assert_int_equal(wrong == NULL, cases[i].fits);
		assert_text(request.id, TEXT("1"));
		free(block);

		(void)put(message + size, TEXT("\n{}"));
		wrong = parse_request((struct text){message, size + 3}, &request, &block);
		assert_int_equal(wrong == NULL, cases[i].fits);
		if (cases[i].fits)
			assert_text(request.body, TEXT("{}"));
		else
			assert_string_equal(wrong, "the header is over 512 bytes");
		free(block);
	}
}

/* Where the 512th byte falls on a separator, what follows is still too much. */
static void test_header_cut_at_a_separator(void **state)
{
	char message[600];
	static const struct text tails[] = {
			T(" "), T(" k=1"), T(" \n"), T("="), T("\r\n"), T("\r")};
	for (size_t i = 0; i < COUNT(tails); i++) {
		for (size_t size = 512 - tails[i].size + 1; size <= 512; size++) {
			(void)fill_header(message, size);
			size_t tail = put(message + size, tails[i]);
			struct wire_request request;
			char *block;
			assert_non_null(parse_request(
					(struct text){message, size + tail}, &request, &block));
			free(block);
		}
	}
}

/* A message that ends behind a byte marked y is whole; behind any other, something is missing. */
static void test_every_cut_of_a_request(void **state)
{
	static const char whole[] = "product 17 250 trace=00-ab-01 fresh=1\n{}";
	static const char marks[] = "...........yyy......yyyyyyyyy......yyyyy";
	static_assert(sizeof(whole) == sizeof(marks), "a mark for each byte");
	for (size_t size = 1; size < sizeof(whole); size++) {
		struct wire_request request;
		char *block;
		const char *wrong = parse_request((struct text){whole, size}, &request, &block);
		assert_int_equal(wrong == NULL, marks[size - 1] == 'y');
		free(block);
	}
}

/* Each byte value in each place is either of the grammar or refused, and nothing is read behind the
 * end. */
static void test_every_byte_in_every_place(void **state)
{
	static const char whole[] = "ab 12 34 key=v\nb";
	for (size_t place = 0; place < sizeof(whole) - 1; place++) {
		for (int byte = 0; byte < 256; byte++) {
			char message[sizeof(whole)];
			memcpy(message, whole, sizeof(whole));
			message[place] = (char)byte;
			struct wire_request request;
			char *block;
			const char *wrong = parse_request((struct text){message, sizeof(whole) - 1},
					&request, &block);
			if (place < 14 && (byte < ' ' || byte > '~') && byte != '\n')
				assert_non_null(wrong);
			if (place > 14)
				assert_null(wrong);
			free(block);
		}
	}
}

static const struct {
	struct text message;
	struct wire_reply reply;
} good_replies[] = {
		{T("17 OK us=12"), {.id = T("17"), .us = 12}},
		{T("17 OK"), {.id = T("17")}},
		{T("17 OK\n"), {.id = T("17")}},
		{T("17 OK\nnull"), {.id = T("17"), .body = T("null")}},
		{T("17 OK us=5 cache=hit\n{}"),
				{.id = T("17"), .us = 5, .cache = T("hit"), .body = T("{}")}},
		{T("- INVALID_ARGUMENT us=0\n{}"),
				{.status = STATUS_INVALID_ARGUMENT, .body = T("{}")}},
		{T(X64 " NOT_FOUND"), {.id = T(X64), .status = STATUS_NOT_FOUND}},
		{T("1 RESOURCE_EXHAUSTED us=1 retry_ms=25"),
				{.id = T("1"),
						.status = STATUS_RESOURCE_EXHAUSTED,
						.us = 1,
						.retry_ms = 25}},
		{T("1 INVALID_ARGUMENT duplicate=1 max=5"),
				{.id = T("1"),
						.status = STATUS_INVALID_ARGUMENT,
						.duplicate = true}},
		{T("1 OK partial=1"), {.id = T("1"), .partial = true}},
		{T("1 MORE us=4 seq=3\n{}"), {.id = T("1"),
							     .status = STATUS_MORE,
							     .us = 4,
							     .seq = 3,
							     .body = T("{}")}},
		{T("1 OK us=4 parts=3\n{}"), {.id = T("1"), .us = 4, .parts = 3, .body = T("{}")}},
		{T("1 OK seq= parts=x"), {.id = T("1")}},
		{T("1 OK us=1 us=2 partial=0 partial=1"), {.id = T("1"), .us = 1}},
		{T("1 OK us=x retry_ms=-1 duplicate=yes"), {.id = T("1")}},
		{T("1 OK us=99999999999999999999"), {.id = T("1")}},
		{T("1 OK us= us=3"), {.id = T("1")}},
		{T("1 OK later=on"), {.id = T("1")}},
};

static void test_good_replies(void **state)
{
	for (size_t i = 0; i < COUNT(good_replies); i++) {
		const struct wire_reply *expected = &good_replies[i].reply;
		struct wire_reply reply;
		char *block;
		assert_null(parse_reply(good_replies[i].message, &reply, &block));
		assert_text(reply.id, expected->id);
		assert_int_equal(reply.status, expected->status);
		assert_text(reply.body, expected->body);
		assert_text(reply.cache, expected->cache);
		assert_int_equal(reply.partial, expected->partial);
		assert_int_equal(reply.duplicate, expected->duplicate);
		assert_int_equal(reply.retry_ms, expected->retry_ms);
		assert_int_equal(reply.us, expected->us);
		assert_int_equal(reply.seq, expected->seq);
		assert_int_equal(reply.parts, expected->parts);
		free(block);
	}
}

static const struct {
	struct text message;
	const char *says;
	struct text id;
} bad_replies[] = {
		{T(""), "one space", ABSENT},
		{T("\n"), "one space", ABSENT},
		{T("17"), "status is missing", T("17")},
		{T("17\n"), "status is missing", T("17")},
		{T("17 "), "one space", T("17")},
		{T("17  OK"), "one space", T("17")},
		{T(" 17 OK"), "one space", ABSENT},
		{T("17 OK "), "one space", T("17")},
		{T("17 OK  us=1"), "one space", T("17")},
		{T("17 OK\r\n"), "without CR", T("17")},
		{T("17\r\n"), "without CR", ABSENT},
		{T("17 ok"), "status", T("17")},
		{T("17 OKAY"), "status", T("17")},
		{T("17 O"), "status", T("17")},
		{T("17 OK1"), "status", T("17")},
		{T("17 OK_"), "status", T("17")},
		{T("17 OK\0"), "status", T("17")},
		{T("17 \xff"), "status", T("17")},
		{T("17 200"), "status", T("17")},
		{T("17 OK us"), "key", T("17")},
		{T("17 OK us=\x01"), "value", T("17")},
		{T("17 OK cache=" X128 "x"), "value", T("17")},
		{T(X64 "x OK"), "the id", ABSENT},
		{T("1\0 OK"), "the id", ABSENT},
		{T("- ok"), "status", ABSENT},
		{T("17 " X256 X256), "status", T("17")},
		{T("17 OK unknown=" X256 X256), "over 512", T("17")},
		{T(X256 X256 "x"), "over 512", ABSENT},
};

static void test_bad_replies(void **state)
{
	for (size_t i = 0; i < COUNT(bad_replies); i++) {
		struct wire_reply reply;
		char *block;
		const char *wrong = parse_reply(bad_replies[i].message, &reply, &block);
		assert_non_null(wrong);
		if (strstr(wrong, bad_replies[i].says) == NULL)
			fail_msg("row %zu says \"%s\"", i, wrong);
		assert_text(reply.id, bad_replies[i].id);
		assert_null(reply.body.data);
		free(block);
	}
}

static void test_names_and_ids(void **state)
{
	static const struct {
		struct text text;
		bool name, id;
	} cases[] = {
			{ABSENT, false, false},
			{T(""), false, false},
			{T("a"), true, true},
			{T("-"), true, false},
			{T("--"), true, true},
			{T("_Az09-"), true, true},
			{T("a.b:c"), false, true},
			{T("$a"), false, false},
			{T("a b"), false, false},
			{T("a\n"), false, false},
			{T("a\0"), false, false},
			{T("\xc3\xa9"), false, false},
			{T(X64), true, true},
			{T(X64 "x"), false, false},
			{T(X256 X256 X8), false, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(wire_is_name(cases[i].text), cases[i].name);
		assert_int_equal(wire_is_id(cases[i].text), cases[i].id);
	}
}

static void test_statuses(void **state)
{
	for (unsigned i = 0; i <= STATUS_MORE; i++) {
		enum status status = i > 0 ? STATUS_OK : STATUS_MORE;
		assert_true(status_from_text(status_text((enum status)i), &status));
		assert_int_equal(status, i);
	}
	enum status status = STATUS_INTERNAL;
	assert_false(status_from_text(TEXT("ok"), &status));
	assert_false(status_from_text(TEXT(""), &status));
	assert_false(status_from_text((struct text){NULL, 0}, &status));
	assert_int_equal(status, STATUS_INTERNAL);
	assert_true(text_equal(status_text(STATUS_DEADLINE_EXCEEDED), TEXT("DEADLINE_EXCEEDED")));
}

static void test_reply_as_written(void **state)
{
	static const struct {
		struct text id;
		enum status status;
		bool has_body;
		struct wire_reply_keys keys;
		const char *header;
	} cases[] = {
			{T("17"), STATUS_OK, false, {0}, "17 OK us=0"},
			{T("17"), STATUS_OK, true, {.us = 83, .cache = T("hit")},
					"17 OK us=83 cache=hit\n"},
			{ABSENT, STATUS_INVALID_ARGUMENT, true, {.max = 1048576},
					"- INVALID_ARGUMENT us=0 max=1048576\n"},
			{T("a"), STATUS_INVALID_ARGUMENT, false, {.duplicate = true},
					"a INVALID_ARGUMENT us=0 duplicate=1"},
			{T("a"), STATUS_RESOURCE_EXHAUSTED, false, {.us = 1, .retry_ms = 25},
					"a RESOURCE_EXHAUSTED us=1 retry_ms=25"},
			{T("a"), STATUS_OK, true, {.us = 1, .cache = T("joined"), .partial = true},
					"a OK us=1 cache=joined partial=1\n"},
			{T("a"), STATUS_MORE, true, {.us = 1, .seq = 1}, "a MORE us=1 seq=1\n"},
			{T("a"), STATUS_OK, true, {.us = 1, .partial = true, .parts = 12},
					"a OK us=1 partial=1 parts=12\n"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char room[WIRE_HEADER_MAX];
		char *end = wire_write_reply(room, cases[i].id, cases[i].status, &cases[i].keys,
				cases[i].has_body);
		assert_text((struct text){room, (size_t)(end - room)}, text_of(cases[i].header));
	}
}

static void test_the_largest_reply_has_room(void **state)
{
	const struct wire_reply_keys keys = {
			.us = UINT64_MAX,
			.cache = T("0123456789abcdef"),
			.partial = true,
			.duplicate = true,
			.retry_ms = UINT64_MAX,
			.max = UINT64_MAX,
			.seq = UINT64_MAX,
			.parts = UINT64_MAX,
	};
	assert_int_equal(keys.cache.size, WIRE_CACHE_MAX);
	char *at = malloc(WIRE_HEADER_MAX);
	assert_non_null(at);
	char *end = wire_write_reply(at, TEXT(X64), STATUS_RESOURCE_EXHAUSTED, &keys, true);
	assert_in_range(end - at, 200, WIRE_HEADER_MAX);
	free(at);
}

static void test_reply_round_trip(void **state)
{
	for (unsigned i = 0; i < (STATUS_MORE + 1) * 64; i++) {
		const struct wire_reply_keys keys = {
				.us = i * 1000003ULL,
				.cache = i & 1 ? TEXT("stale") : (struct text){NULL, 0},
				.partial = i & 2,
				.duplicate = i & 4,
				.retry_ms = i & 8 ? i : 0,
				.seq = i & 16 ? i : 0,
				.parts = i & 32 ? i : 0,
		};
		enum status status = (enum status)(i % (STATUS_MORE + 1));
		char room[WIRE_HEADER_MAX + 16];
		char *end = wire_write_reply(room, TEXT("c1.7:x"), status, &keys, true);
		memcpy(end, "[1]", 3);
		struct wire_reply reply;
		assert_null(wire_parse_reply(
				(struct text){room, (size_t)(end + 3 - room)}, &reply));
		assert_text(reply.id, TEXT("c1.7:x"));
		assert_int_equal(reply.status, status);
		assert_int_equal(reply.us, keys.us);
		assert_text(reply.cache, keys.cache);
		assert_int_equal(reply.partial, keys.partial);
		assert_int_equal(reply.duplicate, keys.duplicate);
		assert_int_equal(reply.retry_ms, keys.retry_ms);
		assert_int_equal(reply.seq, keys.seq);
		assert_int_equal(reply.parts, keys.parts);
		assert_text(reply.body, TEXT("[1]"));
	}
}

static void test_request_round_trip(void **state)
{
	static const struct {
		struct text target, id;
		uint64_t budget_ms;
		struct wire_request_keys keys;
		uint64_t read_ms;
		bool has_body;
	} cases[] = {
			{T("quote"), T("17"), 83, {.trace = ABSENT}, 83, true},
			{T("quote"), T("17"), 0, {.trace = T("")}, 0, false},
			{T("$cancel"), T("17"), WIRE_BUDGET_NONE, {.trace = ABSENT},
					WIRE_BUDGET_NONE, false},
			{T("quote"), T("17"), 999999999, {.trace = T("00-ab-01"), .stream = true},
					999999999, true},
			{T("quote"), T("17"), 1000000000, {.fresh = true}, 999999999, true},
			{T("quote"), T("17"), WIRE_BUDGET_NONE - 1, {.trace = ABSENT}, 999999999,
					true},
			{T(X64), T(X64), 999999999, {T(X128), true, true}, 999999999, true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char room[WIRE_HEADER_MAX + 1 + 2];
		char *end = wire_write_request(room, cases[i].target, cases[i].id,
				cases[i].budget_ms, &cases[i].keys, cases[i].has_body);
		assert_true(end <= room + WIRE_HEADER_MAX + 1);
		if (cases[i].has_body) {
			memcpy(end, "{}", 2);
			end += 2;
		}
		struct wire_request request;
		assert_null(wire_parse_request(
				(struct text){room, (size_t)(end - room)}, &request));
		assert_text(request.target, cases[i].target);
		assert_text(request.id, cases[i].id);
		assert_int_equal(request.budget_ms, cases[i].read_ms);
		assert_text(request.trace, cases[i].keys.trace);
		assert_int_equal(request.stream, cases[i].keys.stream);
		assert_int_equal(request.fresh, cases[i].keys.fresh);
		assert_text(request.body, cases[i].has_body ? TEXT("{}") : (struct text){NULL, 0});
	}
	char room[WIRE_HEADER_MAX + 1];
	const struct wire_request_keys none = {.trace = ABSENT};
	char *end = wire_write_request(room, TEXT("quote"), TEXT("17"), 83, &none, true);
	assert_text((struct text){room, (size_t)(end - room)}, TEXT("quote 17 83\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_good_requests),
			cmocka_unit_test(test_bad_requests),
			cmocka_unit_test(test_header_size),
			cmocka_unit_test(test_header_cut_at_a_separator),
			cmocka_unit_test(test_every_cut_of_a_request),
			cmocka_unit_test(test_every_byte_in_every_place),
			cmocka_unit_test(test_good_replies),
			cmocka_unit_test(test_bad_replies),
			cmocka_unit_test(test_names_and_ids),
			cmocka_unit_test(test_statuses),
			cmocka_unit_test(test_reply_as_written),
			cmocka_unit_test(test_the_largest_reply_has_room),
			cmocka_unit_test(test_reply_round_trip),
			cmocka_unit_test(test_request_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
