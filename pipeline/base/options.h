/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options as data. Stages, drivers and the daemon each publish a table of what may stand in their
 * part of a configuration; `conf` walks whatever tables it is handed and gives a tree of typed,
 * defaulted values, each with its place. Documentation and --check are read off the same tables.
 * Everything of the tree lives in one arena.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/diag.h"
#include "pipeline/base/json.h"
#include "pipeline/base/text.h"

struct template;

/* The longest duration, a year, of what is added to the present: the sum never overflows. */
#define OPTION_DURATION_MAX (UINT64_C(8760) * 3600 * 1000000000)

enum option_kind {
	OPTION_DURATION,  /* `number`, in nanoseconds; written with ns, us, ms, s, m or h; or, where
			     it has `choices`, the `choice`, which is else -1 */
	OPTION_SIZE,	  /* `number`, in bytes; written with B, KiB, MiB or GiB */
	OPTION_NUMBER,	  /* `number`; a whole number without sign */
	OPTION_PERCENT,	  /* `number`, of a hundred; written with % */
	OPTION_BOOLEAN,	  /* `number`, 0 or 1; true or false */
	OPTION_WORD,	  /* `text`; 1 to 64 of A-Z a-z 0-9 _ - */
	OPTION_CHOICE,	  /* `choice`, an index of `choices`; or `number` and choice -1 where the
			     option is `numeric` */
	OPTION_TEXT,	  /* `text`; any scalar */
	OPTION_TEMPLATE,  /* `template` */
	OPTION_TEMPLATES, /* `map`: any names, each with a `template` */
	OPTION_QUERY,	  /* `text`: SQL */
	OPTION_TYPES,	  /* `types`: what a body holds */
	OPTION_RESOURCE,  /* `text`: the name of a resource of kind `resource` */
	OPTION_MAP,	  /* `map` by `table` */
	OPTION_NAMED, /* `map`: any names, each a `map` by `table` or, with `variants`, by one of
			 them */
	OPTION_STEPS, /* `list` of steps by `variants` */
};

/* One of several tables, told by the key that it is named after: a stage, a driver. */
struct option_variant {
	const char *name;
	const char *help;
	const struct option *table;
	bool later;	   /* known, and refused with "not in this version" */
	const char *needs; /* a library; without a table, it was not there when this was built */
};

/* An entry of a table; the table ends with an entry whose key is NULL. */
struct option {
	const char *key;
	enum option_kind kind;
	bool list; /* a sequence of these; a lone scalar is a sequence of one */
	bool required;
	bool bare;    /* the key that a scalar in place of the map stands for; at most one */
	bool later;   /* known, and refused with "not in this version" */
	bool numeric; /* CHOICE: a number will do as well */
	/*
	 * The default, as it would be written. NULL: none, and then given is false and all else
	 * zero; only a MAP whose table requires nothing is then the map of its table's defaults.
	 */
	const char *fallback;
	uint64_t min;		    /* of a number, of a text's bytes, of a list's or map's count */
	uint64_t max;		    /* the same; 0: no bound */
	const char *const *choices; /* CHOICE, DURATION; ends with NULL */
	const char *resource;	    /* RESOURCE: "database", "cache", "source" */
	const struct option *table; /* MAP, NAMED */
	const struct option_variant *variants; /* NAMED, STEPS; ends with a NULL name */
	const char *help;		       /* one line */
};

enum type_kind { TYPE_ANY, TYPE_STRING, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_OBJECT, TYPE_ARRAY };

/* A field that `takes` declares. */
struct field_type {
	struct text name;
	struct place place;
	enum type_kind kind;
	enum type_kind element; /* of an ARRAY */
	struct text fallback;	/* JSON text; absent: the field is required */
};

struct option_map;
struct option_list;

struct option_value {
	const struct option *option; /* NULL for the entries of a map with free names */
	struct text name;	     /* the key; of a step, the stage's name */
	struct place place; /* of the value; of a free name or a step's; a default's: of the map */
	bool given;	    /* false: the default, or nothing at all */
	bool wrong; /* of a key of the file, a NAMED entry or a step: something in it was wrong, and
			was said; what is nested in it in steps stands for itself */
	int choice;
	const struct option_variant *variant; /* of a step, or of a NAMED entry with variants */
	uint64_t number;
	struct text text;
	struct template *template;
	const struct field_type *types;
	size_t type_count;
	const struct option_map *map;
	const struct option_list *list;
	struct text as; /* of a step: the name of its value; absent: none */
	struct place as_place;
};

/* By a table: one value for each of its entries, in the table's order. With free names: in the
 * file's order. */
struct option_map {
	struct place place;
	const struct option_value *values;
	size_t count;
};

struct option_list {
	struct place place;
	const struct option_value *values;
	size_t count;
};

/* The value of a key, which the table must have (asserted): for tables of one's own. */
const struct option_value *option_get(const struct option_map *map, const char *key);

/* The value of a free name, or NULL. */
const struct option_value *option_find(const struct option_map *map, struct text name);

/* Whether two values say the same, whatever their places. */
bool option_value_equal(const struct option_value *a, const struct option_value *b);

/* Shorthands of option_get(). */
uint64_t option_number(const struct option_map *map, const char *key);
struct text option_text(const struct option_map *map, const char *key);

/* Whether a JSON value is of a declared type. */
bool field_type_accepts(const struct field_type *type, const struct json *json, uint32_t index);

/* "string", "[number]", …: static. */
const char *field_type_name(const struct field_type *type);
