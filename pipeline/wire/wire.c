/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header lines are read in one pass from left to right, byte by byte against one table of classes:
 * each token ends at the first byte that is not of its class, and what stands there must be what
 * the grammar wants. So a CR, a second space, a NUL or a high byte is refused where it stands, and
 * nothing behind the 512th byte is taken for a header.
 */
#include "pipeline/wire/wire.h"

#define BUDGET_DIGITS_MAX 9

#define OVER_MAX     "the header is over 512 bytes"
#define WRONG_CR     "a header ends with LF alone, without CR"
#define WRONG_SPACE  "tokens are separated by exactly one space, and none stands at the end"
#define WRONG_TARGET "the target must be 1 to 64 of A-Z a-z 0-9 _ -"
#define WRONG_ID     "the id must be 1 to 64 of A-Z a-z 0-9 _ . : -, and not - alone"
#define WRONG_BUDGET "the budget must be 1 to 9 digits (milliseconds), or -"
#define WRONG_STATUS "the status is unknown"
#define WRONG_KEY    "a key must be 1 to 32 of a-z _, followed by ="
#define WRONG_VALUE  "a value must be at most 128 of visible ASCII"
#define NO_ID	     "the id is missing"
#define NO_BUDGET    "the budget is missing"
#define NO_STATUS    "the status is missing"

enum class {
	NAME = 1,
	ID = 2,
	KEY = 4,
	STATUS = 8,
	DIGIT = 16,
	VISIBLE = 32,
};

/* clang-format off */
#define V VISIBLE
#define I (ID | VISIBLE)
#define H (NAME | ID | VISIBLE)
#define D (NAME | ID | DIGIT | VISIBLE)
#define U (NAME | ID | STATUS | VISIBLE)
#define L (NAME | ID | KEY | VISIBLE)
#define S (NAME | ID | KEY | STATUS | VISIBLE)
static const uint8_t classes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, V, V, V, V, V, V, V, V, V, V, V, V, H, I, V, /*   ! " # $ % & ' ( ) * + , - . / */
	D, D, D, D, D, D, D, D, D, D, I, V, V, V, V, V, /* 0 1 2 3 4 5 6 7 8 9 : ; < = > ? */
	V, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, /* @ A B C D E F G H I J K L M N O */
	U, U, U, U, U, U, U, U, U, U, U, V, V, V, V, S, /* P Q R S T U V W X Y Z [ \ ] ^ _ */
	V, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* ` a b c d e f g h i j k l m n o */
	L, L, L, L, L, L, L, L, L, L, L, V, V, V, V, 0, /* p q r s t u v w x y z { | } ~   */
};
#undef V
#undef I
#undef H
#undef D
#undef U
#undef L
#undef S
/* clang-format on */

/* at <= stop <= end. A header's bytes all stand before stop; its LF may stand there. */
struct header {
	const char *at;
	const char *stop;
	const char *end; /* of the message */
};

static struct header header_of(struct text message)
{
	if (message.size == 0)
		message = TEXT("");
	size_t size = message.size < WIRE_HEADER_MAX ? message.size : WIRE_HEADER_MAX;
	return (struct header){message.data, message.data + size, message.data + message.size};
}

static inline bool stands(const struct header *header, char c)
{
	return header->at < header->stop && *header->at == c;
}

static inline bool skip(struct header *header, char c)
{
	bool there = stands(header, c);
	header->at += there;
	return there;
}

static inline bool header_ends(const struct header *header)
{
	return header->at == header->end || *header->at == '\n';
}

static inline bool token_ends(const struct header *header)
{
	return header_ends(header) || stands(header, ' ');
}

static inline struct text take(struct header *header, enum class class)
{
	const char *from = header->at;
	while (header->at < header->stop && classes[(unsigned char)*header->at] & class)
		header->at++;
	return (struct text){from, (size_t)(header->at - from)};
}

/* Says what is wrong at the header's `at`, where `wrong` is what was being read. */
static const char *blame(const struct header *header, const char *wrong)
{
	if (header->at == header->stop && !header_ends(header))
		return OVER_MAX;
	if (stands(header, '\r'))
		return WRONG_CR;
	return wrong;
}

/* The same after a space, where the next token is missing altogether. */
static const char *blame_empty(const struct header *header, const char *wrong)
{
	return blame(header, header_ends(header) || stands(header, ' ') ? WRONG_SPACE : wrong);
}

static bool id_fits(struct text id)
{
	return id.size >= 1 && id.size <= WIRE_ID_MAX && !(id.size == 1 && id.data[0] == '-');
}

static const char *read_target(struct header *header, struct text *ret)
{
	const char *from = header->at;
	(void)skip(header, '$');
	struct text name = take(header, NAME);
	*ret = (struct text){from, (size_t)(header->at - from)};
	if (name.size == 0 || ret->size > WIRE_TARGET_MAX || !token_ends(header))
		return blame(header, WRONG_TARGET);
	return skip(header, ' ') ? NULL : NO_ID;
}

static const char *read_id(struct header *header, const char *missing, struct text *ret)
{
	*ret = take(header, ID);
	if (ret->size == 0)
		return blame_empty(header, WRONG_ID);
	if (ret->size > WIRE_ID_MAX || !token_ends(header))
		return blame(header, WRONG_ID);
	return skip(header, ' ') ? NULL : missing;
}

static const char *read_budget(struct header *header, uint64_t *ret)
{
	if (skip(header, '-'))
		return token_ends(header) ? NULL : blame(header, WRONG_BUDGET);
	struct text digits = take(header, DIGIT);
	if (digits.size == 0)
		return blame_empty(header, WRONG_BUDGET);
	if (digits.size > BUDGET_DIGITS_MAX || !token_ends(header))
		return blame(header, WRONG_BUDGET);
	(void)text_to_u64(digits, ret);
	return NULL;
}

static const char *read_status(struct header *header, enum status *ret)
{
	struct text name = take(header, STATUS);
	if (name.size == 0)
		return blame_empty(header, WRONG_STATUS);
	if (!token_ends(header) || !status_from_text(name, ret))
		return blame(header, WRONG_STATUS);
	return NULL;
}

static const char *read_pair(struct header *header, struct text *ret_key, struct text *ret_value)
{
	(void)skip(header, ' ');
	*ret_key = take(header, KEY);
	if (ret_key->size == 0)
		return blame_empty(header, WRONG_KEY);
	if (ret_key->size > WIRE_KEY_MAX || !skip(header, '='))
		return blame(header, WRONG_KEY);
	*ret_value = take(header, VISIBLE);
	if (ret_value->size > WIRE_VALUE_MAX || !token_ends(header))
		return blame(header, WRONG_VALUE);
	return NULL;
}

/*
 * Reads all pairs that are left and puts the first value of each name in its place. values come in
 * absent. Names that are not among those wanted are passed over.
 */
static const char *read_pairs(
		struct header *header, const struct text *names, struct text *values, size_t count)
{
	while (!header_ends(header)) {
		struct text key, value;
		const char *wrong = read_pair(header, &key, &value);
		if (wrong)
			return wrong;
		for (size_t i = 0; i < count; i++)
			if (values[i].data == NULL && text_equal(names[i], key))
				values[i] = value;
	}
	return NULL;
}

/* What follows the LF at which a header that was read whole has ended. */
static struct text body_of(const struct header *header)
{
	size_t left = (size_t)(header->end - header->at);
	return left > 1 ? (struct text){header->at + 1, left - 1} : (struct text){NULL, 0};
}

/* The id of a header that is malformed otherwise, even in the target before it; absent if it can't
 * be read. */
static struct text salvage_id(struct text message, bool after_target)
{
	struct header header = header_of(message);
	if (after_target) {
		while (!token_ends(&header) && header.at < header.stop)
			header.at++;
		if (header.at == message.data || !skip(&header, ' '))
			return (struct text){NULL, 0};
	}
	struct text id = take(&header, ID);
	return id_fits(id) && token_ends(&header) ? id : (struct text){NULL, 0};
}

static bool is_one(struct text value)
{
	return text_equal(value, TEXT("1"));
}

static const char *read_request(struct header *header, struct wire_request *ret)
{
	enum { TRACE, STREAM, FRESH, KEYS };
	static const struct text names[KEYS] = {{"trace", 5}, {"stream", 6}, {"fresh", 5}};
	struct text values[KEYS] = {{NULL, 0}};
	const char *wrong = read_target(header, &ret->target);
	if (!wrong)
		wrong = read_id(header, NO_BUDGET, &ret->id);
	if (!wrong && !id_fits(ret->id))
		wrong = WRONG_ID;
	if (!wrong)
		wrong = read_budget(header, &ret->budget_ms);
	if (!wrong)
		wrong = read_pairs(header, names, values, KEYS);
	if (wrong)
		return wrong;
	ret->trace = values[TRACE];
	ret->stream = is_one(values[STREAM]);
	ret->fresh = is_one(values[FRESH]);
	ret->body = body_of(header);
	return NULL;
}

const char *wire_parse_request(struct text message, struct wire_request *ret)
{
	struct header header = header_of(message);
	*ret = (struct wire_request){.budget_ms = WIRE_BUDGET_NONE};
	const char *wrong = read_request(&header, ret);
	if (wrong)
		*ret = (struct wire_request){
				.budget_ms = WIRE_BUDGET_NONE, .id = salvage_id(message, true)};
	return wrong;
}

static const char *read_reply(struct header *header, struct wire_reply *ret)
{
	enum { CACHE, PARTIAL, DUPLICATE, RETRY_MS, US, SEQ, PARTS, KEYS };
	static const struct text names[KEYS] = {{"cache", 5}, {"partial", 7}, {"duplicate", 9},
			{"retry_ms", 8}, {"us", 2}, {"seq", 3}, {"parts", 5}};
	struct text values[KEYS] = {{NULL, 0}};
	const char *wrong = read_id(header, NO_STATUS, &ret->id);
	if (!wrong)
		wrong = read_status(header, &ret->status);
	if (!wrong)
		wrong = read_pairs(header, names, values, KEYS);
	if (wrong)
		return wrong;
	if (!id_fits(ret->id))
		ret->id = (struct text){NULL, 0};
	ret->cache = values[CACHE];
	ret->partial = is_one(values[PARTIAL]);
	ret->duplicate = is_one(values[DUPLICATE]);
	(void)text_to_u64(values[RETRY_MS], &ret->retry_ms);
	(void)text_to_u64(values[US], &ret->us);
	(void)text_to_u64(values[SEQ], &ret->seq);
	(void)text_to_u64(values[PARTS], &ret->parts);
	ret->body = body_of(header);
	return NULL;
}

const char *wire_parse_reply(struct text message, struct wire_reply *ret)
{
	struct header header = header_of(message);
	*ret = (struct wire_reply){0};
	const char *wrong = read_reply(&header, ret);
	if (wrong)
		*ret = (struct wire_reply){.id = salvage_id(message, false)};
	return wrong;
}

bool wire_is_name(struct text name)
{
	if (name.size > WIRE_TARGET_MAX)
		return false;
	struct header header = header_of(name);
	return take(&header, NAME).size == name.size && name.size >= 1;
}

bool wire_is_id(struct text id)
{
	struct header header = header_of(id);
	return id_fits(id) && take(&header, ID).size == id.size;
}
