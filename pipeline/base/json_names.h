/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the json files only: whether the names of an object differ. Both leave *ret_error as it was
 * if they do.
 */
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct json;
struct json_error;

#define JSON_NAMES_FEW 8

/* Of the object at index, which has at most JSON_NAMES_FEW members. */
bool json_names_few(const struct json *json, uint32_t index, struct json_error *ret_error);

/* Of all objects with more members than that. Takes memory of arena until it returns. */
bool json_names_many(const struct json *json, struct arena *arena, struct json_error *ret_error);
