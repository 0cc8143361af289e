/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is too long to be inline in the header. Nothing here looks past the end of a slice, and
 * nothing trusts what a slice holds.
 */
#include "pipeline/base/text.h"

#include "pipeline/base/lesser.h"

struct text text_take(struct text *rest, char mark)
{
	struct text piece = *rest;
	const char *at = rest->data ? memchr(rest->data, mark, rest->size) : NULL;
	if (!at) {
		*rest = (struct text){NULL, 0};
		return piece;
	}
	piece.size = (size_t)(at - piece.data);
	*rest = (struct text){at + 1, rest->size - piece.size - 1};
	return piece;
}

int text_compare(struct text a, struct text b)
{
	size_t common = lesser(a.size, b.size);
	int order = common ? memcmp(a.data, b.data, common) : 0;
	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

bool text_to_u64(struct text t, uint64_t *ret)
{
	/* 19 nines are the most that can't overflow. */
	if (t.size < 1 || t.size > 19)
		return false;
	uint64_t number = 0;
	for (size_t i = 0; i < t.size; i++) {
		unsigned digit = (unsigned char)t.data[i] - (unsigned)'0';
		if (digit > 9)
			return false;
		number = number * 10 + digit;
	}
	*ret = number;
	return true;
}

/* The table of well-formed sequences in RFC 3629, section 4: only the second byte's range depends
 * on the first. */
size_t text_utf8_size(struct text t)
{
	if (t.size == 0)
		return 0;
	unsigned char first = (unsigned char)t.data[0];
	if (first < 0x80)
		return 1;
	size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || t.size < size)
		return 0;
	unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
	unsigned char second = (unsigned char)t.data[1];
	if (second < low || second > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (((unsigned char)t.data[i] & 0xc0) != 0x80)
			return 0;
	return size;
}
