/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we and jansson make of the same texts: of what is drawn by the grammar, and of that with
 * bytes changed. Where they differ wilfully is said in compare.c; our limits are set so high that
 * nothing meets them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "pipeline/base/random.h"
#include "tests/unit/base/compare.h"

/* TEXT() as a constant. */
/* clang-format off */
#define LITERAL(literal) {(literal), sizeof(literal) - 1}
/* clang-format on */

#define ROUNDS 30000

static struct random draw;

static int set_up(void **state)
{
	random_init(&draw, 20201);
	return 0;
}

static int tear_down(void **state)
{
	return live_report();
}

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(&draw, bound);
}

static struct text pick(const struct text *from, size_t count)
{
	return from[random_below(&draw, count)];
}

#define PICK(array) pick((array), sizeof(array) / sizeof(*(array)))

static void append_space(struct buffer *buffer)
{
	static const struct text spaces[] = {
			LITERAL(" "), LITERAL("\n"), LITERAL("\t"), LITERAL("\r"), LITERAL("  ")};
	if (below(8) == 0)
		buffer_append(buffer, PICK(spaces));
}

static void append_string(struct buffer *buffer)
{
	static const struct text pieces[] = {LITERAL("a"), LITERAL("b"), LITERAL("name"),
			LITERAL("0"), LITERAL(" "), LITERAL("somewhat longer"), LITERAL("\\n"),
			LITERAL("\\\""), LITERAL("\\\\"), LITERAL("/"), LITERAL("\\/"),
			LITERAL("\\u0061"), LITERAL("\\u00e9"), LITERAL("\xc3\xa9"),
			LITERAL("\\u20AC"), LITERAL("\xe2\x82\xac"), LITERAL("\\ud83d\\ude00"),
			LITERAL("\xf0\x9f\x98\x80"), LITERAL("{"), LITERAL("]"), LITERAL(","),
			LITERAL("\x7f")};
	buffer_append_char(buffer, '"');
	for (unsigned left = below(4); left > 0; left--)
		buffer_append(buffer, PICK(pieces));
	if (below(4) > 0)
		buffer_append_u64(buffer, below(1000));
	buffer_append_char(buffer, '"');
}

static void append_number(struct buffer *buffer)
{
	static const struct text fractions[] = {LITERAL(".0"), LITERAL(".25"), LITERAL("e3"),
			LITERAL("E-2"), LITERAL(".5e+1"), LITERAL("e99")};
	if (below(3) == 0)
		buffer_append_char(buffer, '-');
	buffer_append_u64(buffer, random_next(&draw) >> below(64));
	if (below(2) == 0)
		buffer_append(buffer, PICK(fractions));
}

static void append_value(struct buffer *buffer, unsigned depth)
{
	static const struct text words[] = {LITERAL("null"), LITERAL("true"), LITERAL("false")};
	append_space(buffer);
	unsigned kind = below(depth < 5 ? 7 : 3);
	if (kind == 0) {
		buffer_append(buffer, PICK(words));
	} else if (kind == 1) {
		append_number(buffer);
	} else if (kind == 2) {
		append_string(buffer);
	} else {
		bool object = kind >= 5;
		buffer_append_char(buffer, object ? '{' : '[');
		append_space(buffer);
		unsigned count = below(10) == 0 ? below(25) : below(5);
		for (unsigned i = 0; i < count; i++) {
			if (i > 0)
				buffer_append_char(buffer, ',');
			append_space(buffer);
			if (object) {
				append_string(buffer);
				append_space(buffer);
				buffer_append_char(buffer, ':');
			}
			append_value(buffer, depth + 1);
		}
		buffer_append_char(buffer, object ? '}' : ']');
	}
	append_space(buffer);
}

/* Replaces a few bytes, which may be none, by a few others. */
static void mutate(struct buffer *buffer, struct buffer *scratch)
{
	static const struct text tokens[] = {LITERAL("\""), LITERAL("\\"), LITERAL("{"),
			LITERAL("}"), LITERAL("["), LITERAL("]"), LITERAL(","), LITERAL(":"),
			LITERAL(" "), LITERAL("0"), LITERAL("1"), LITERAL("-"), LITERAL("."),
			LITERAL("e"), LITERAL("E9999"), LITERAL("+"), LITERAL("\n"),
			LITERAL("\x1f"), LITERAL("\\u0000"), LITERAL("\\u"), LITERAL("\\ud800"),
			LITERAL("\\udc00"), LITERAL("\x80"), LITERAL("\xc0\x80"), LITERAL("\xc3"),
			LITERAL("\xed\xa0\x80"), LITERAL("\xf4\x90\x80\x80"),
			LITERAL("\xef\xbb\xbf"), LITERAL("\xff"), LITERAL("null"),
			LITERAL("\"a\":1,"), LITERAL("[]"), LITERAL("{}"), LITERAL("")};
	size_t at = random_below(&draw, buffer->size + 1);
	size_t cut = below(4);
	if (cut > buffer->size - at)
		cut = buffer->size - at;
	buffer_clear(scratch);
	buffer_append(scratch, (struct text){buffer->data, at});
	buffer_append(scratch, PICK(tokens));
	buffer_append(scratch, (struct text){buffer->data + at + cut, buffer->size - at - cut});
	struct buffer swapped = *buffer;
	*buffer = *scratch;
	*scratch = swapped;
}

static unsigned accepted, refused, left_out;

static void assert_agreed(struct text t)
{
	const char *difference;
	switch (compare_with_oracle(t, &difference)) {
	case BOTH_ACCEPT:
		accepted++;
		break;
	case BOTH_REFUSE:
		refused++;
		break;
	case NOT_COMPARED:
		left_out++;
		break;
	case DIFFERENT:
		fail_msg("%.*s: %s", TEXT_ARG(t), difference);
	}
}

static void test_texts_drawn_and_changed(void **state)
{
	struct buffer text, scratch;
	buffer_init(&text);
	buffer_init(&scratch);
	for (unsigned round = 0; round < ROUNDS; round++) {
		buffer_clear(&text);
		append_value(&text, 0);
		for (unsigned left = below(3); left > 0; left--)
			mutate(&text, &scratch);
		assert_agreed(buffer_text(&text));
	}
	buffer_deinit(&text);
	buffer_deinit(&scratch);
	/* What was compared was no trifle. */
	assert_in_range(accepted, ROUNDS / 4, ROUNDS);
	assert_in_range(refused, ROUNDS / 4, ROUNDS);
	assert_in_range(left_out, 0, ROUNDS / 50);
}

/* Every pair of a lead byte and what may follow, at the borders of all rows of the table of
 * well-formed UTF-8. */
static void test_borders_of_utf8(void **state)
{
	static const unsigned char borders[] = {
			0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
	enum { BORDERS = sizeof(borders) };
	for (unsigned lead = 0x80; lead < 0x100; lead++)
		for (unsigned i = 0; i < BORDERS * BORDERS * BORDERS; i++) {
			char bytes[] = {'"', (char)lead, (char)borders[i % BORDERS],
					(char)borders[i / BORDERS % BORDERS],
					(char)borders[i / BORDERS / BORDERS], '"'};
			/* As many bytes behind it as the lead byte asks for. */
			size_t size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
			bytes[1 + size] = '"';
			assert_agreed((struct text){bytes, size + 2});
		}
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
			TEST(test_texts_drawn_and_changed),
			TEST(test_borders_of_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
