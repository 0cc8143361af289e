/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What every harness is: a function that takes any bytes, and ends the process where something that
 * must hold of them does not. libFuzzer calls it with inputs that it makes up, replay.c with those
 * that are kept. No harness reads a clock, so an input does the same each time.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/base/text.h"

/* data is of just that size. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *what)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

/* An assertion that is not compiled out. */
#define must(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))

/* What is left of an input that is taken apart from its beginning. */
struct input {
	const char *at;
	const char *end;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
	const char *bytes = size ? (const char *)data : "";
	return (struct input){bytes, bytes + size};
}

/* 0 at the end. */
static inline unsigned input_byte(struct input *input)
{
	return input->at < input->end ? (unsigned char)*input->at++ : 0;
}

/* A digit stands for itself, so that inputs can be read. */
static inline unsigned input_digit(struct input *input)
{
	return input_byte(input) & 15;
}

/* Up to the next NUL, which is taken too, or to the end. */
static inline struct text input_text(struct input *input)
{
	size_t left = (size_t)(input->end - input->at);
	const char *nul = left ? memchr(input->at, '\0', left) : NULL;
	struct text t = {input->at, nul ? (size_t)(nul - input->at) : left};
	input->at = nul ? nul + 1 : input->end;
	return t;
}

static inline struct text input_rest(struct input *input)
{
	struct text t = {input->at, (size_t)(input->end - input->at)};
	input->at = input->end;
	return t;
}
