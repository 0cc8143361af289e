/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One run of a pipeline's steps (or of a cache's miss): the body, the values that names stand for,
 * and the frames of all stages that run at most once. Its size is known when the configuration is
 * compiled; it is allocated and cleared in one go.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/outcome.h"
#include "pipeline/base/options.h"
#include "pipeline/base/template.h"
#include "pipeline/base/value.h"

struct arena;
struct run;

/* What a path's slot may say beside an index. */
enum { SLOT_UNBOUND = -1, SLOT_BODY = -2 };

/* The shape of an activation, known when all that runs in it is compiled. */
struct layout {
	uint32_t slots; /* one for each field that is taken, each `as`, each captured path */
	size_t frames;	/* bytes */
};

struct activation {
	struct value body; /* what SLOT_BODY paths follow; absent where everything is in slots */
	struct value *slots;
	char *frames;
};

/* Bytes of an activation of this shape, a multiple of 16. */
size_t layout_size(const struct layout *layout);

/* Lays an activation out in cleared memory of layout_size() bytes. */
struct activation *activation_init(void *memory, const struct layout *layout);

/* The same body and values for another run of steps that stand in it, with frames of their own by
 * their layout. In the run's arena; NULL when memory is out. */
struct activation *activation_copy(
		const struct activation *activation, const struct layout *layout, struct run *run);

/* Where templates look names up: an activation, and the value that a fan-out's `each` gives to one
 * slot. */
struct names {
	struct run *run;
	struct activation *activation;
	int32_t each_slot; /* SLOT_UNBOUND: none */
	struct value each;
	bool out_of_memory;  /* some value could not be looked into, so nobody knows what a path
				leads to */
	struct arena *arena; /* for what is made of them; NULL: the run's, which has the views of
				its values in any case */
};

struct arena *names_arena(const struct names *names);

/* A template_resolve_fn; user is a struct names. False: the path leads nowhere, or memory is out.
 */
bool names_resolve(void *user, const struct path *path, struct value *ret);

/* A template as one value, as text, or as the text of a key, in the names' arena. False:
 * *ret_outcome is why. */
bool names_value(struct names *names, const struct template *template, struct value *ret,
		struct outcome *ret_outcome);
bool names_text(struct names *names, const struct template *template, enum template_use use,
		struct text *ret, struct outcome *ret_outcome);
bool names_key(struct names *names, const struct template *template, struct text *ret,
		struct outcome *ret_outcome);

/* As names_value(), but what leads nowhere, or can't be made, gives no value and is no error. */
bool names_value_if_any(struct names *names, const struct template *template, struct value *ret,
		struct outcome *ret_outcome);

/* A list of named templates: a body, a reply, what a call is given. */
struct template_entry {
	struct text member; /* `"name":` */
	struct template *template;
};

struct template_map {
	const struct template_entry *entries;
	size_t count;
};

/* The templates as one JSON object, in the names' arena. False: *ret_outcome is why. */
bool names_object(struct names *names, const struct template_map *map, struct value *ret,
		struct outcome *ret_outcome);

/*
 * Fills the slots of the fields that are taken from body: checks types, gives defaults. False:
 * *ret_outcome is why. The first fields of `slots` are the taken ones, in their order.
 */
bool activation_take(struct activation *activation, const struct field_type *types, size_t count,
		struct value body, struct run *run, struct outcome *ret_outcome);
