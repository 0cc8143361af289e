/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/conf/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pipeline/base/buffer.h"
#include "pipeline/base/live.h"
#include "tests/unit/conf/show.h"

#define END                                                                                        \
	{                                                                                          \
		.key = NULL                                                                        \
	}

static const struct option_variant stages[8];
static const char *const rows[] = {"first", "all", NULL};
static const char *const waits[] = {"all", "any", NULL};

static const struct option cache_table[] = {
		{.key = "in",
				.kind = OPTION_RESOURCE,
				.required = true,
				.resource = "cache",
				.help = "where it keeps"},
		{.key = "key",
				.kind = OPTION_TEMPLATE,
				.required = true,
				.help = "what it is found by"},
		{.key = "ttl",
				.kind = OPTION_DURATION,
				.required = true,
				.min = 1000000,
				.help = "how long it keeps"},
		{.key = "stale",
				.kind = OPTION_DURATION,
				.later = true,
				.required = true,
				.help = "how much longer"},
		{.key = "miss",
				.kind = OPTION_STEPS,
				.min = 1,
				.variants = stages,
				.help = "what fills it"},
		END,
};

static const struct option lookup_table[] = {
		{.key = "in",
				.kind = OPTION_RESOURCE,
				.required = true,
				.resource = "database",
				.help = "which"},
		{.key = "query",
				.kind = OPTION_QUERY,
				.required = true,
				.min = 1,
				.max = 2048,
				.help = "its SQL"},
		{.key = "params", .kind = OPTION_TEMPLATES, .max = 2, .help = "what is bound"},
		{.key = "json", .kind = OPTION_WORD, .list = true, .help = "columns that are JSON"},
		{.key = "rows",
				.kind = OPTION_CHOICE,
				.choices = rows,
				.fallback = "first",
				.help = "how many"},
		END,
};

static const struct option fanout_table[] = {
		{.key = "to",
				.kind = OPTION_RESOURCE,
				.list = true,
				.required = true,
				.min = 1,
				.max = 3,
				.resource = "source",
				.help = "who is asked"},
		{.key = "wait",
				.kind = OPTION_CHOICE,
				.choices = waits,
				.numeric = true,
				.fallback = "all",
				.min = 1,
				.max = 9,
				.help = "for how many"},
		{.key = "target",
				.kind = OPTION_TEMPLATE,
				.fallback = "quote",
				.help = "what is asked"},
		END,
};

static const struct option call_table[] = {
		{.key = "pipeline",
				.kind = OPTION_WORD,
				.bare = true,
				.required = true,
				.help = "which"},
		{.key = "with", .kind = OPTION_TEMPLATES, .help = "its body"},
		END,
};

static const struct option pass_table[] = {
		{.key = "note", .kind = OPTION_TEXT, .fallback = "", .help = "a remark"},
		END,
};

static const struct option group_table[] = {
		{.key = "steps",
				.kind = OPTION_STEPS,
				.bare = true,
				.required = true,
				.variants = stages,
				.help = "what runs"},
		{.key = "after", .kind = OPTION_DURATION, .help = "and until when"},
		END,
};

static const struct option_variant stages[8] = {
		{.name = "cache", .table = cache_table},
		{.name = "lookup", .table = lookup_table},
		{.name = "fanout", .table = fanout_table},
		{.name = "call", .table = call_table},
		{.name = "pass", .table = pass_table},
		{.name = "group", .table = group_table},
		{.name = "retry", .later = true},
		{.name = NULL},
};

static const struct option sqlite_table[] = {
		{.key = "sqlite", .kind = OPTION_TEXT, .required = true, .help = "its file"},
		{.key = "connections",
				.kind = OPTION_NUMBER,
				.fallback = "4",
				.min = 1,
				.max = 64,
				.help = "to it"},
		END,
};

static const struct option memory_table[] = {
		{.key = "memory",
				.kind = OPTION_SIZE,
				.required = true,
				.min = 1024,
				.max = 1 << 30,
				.help = "bound"},
		END,
};

static const struct option_variant drivers[] = {
		{.name = "sqlite", .table = sqlite_table},
		{.name = "memory", .table = memory_table},
		{.name = "postgres", .later = true},
		{.name = "oracle", .needs = "liboracle"},
		{.name = NULL},
};

static const struct option limits_table[] = {
		{.key = "message",
				.kind = OPTION_SIZE,
				.fallback = "1MiB",
				.max = 16 << 20,
				.help = "of one message"},
		{.key = "depth",
				.kind = OPTION_NUMBER,
				.fallback = "32",
				.min = 1,
				.help = "of a body"},
		{.key = "strict",
				.kind = OPTION_BOOLEAN,
				.fallback = "false",
				.help = "refuse more"},
		END,
};

static const struct option door_table[] = {
		{.key = "address",
				.kind = OPTION_TEXT,
				.required = true,
				.bare = true,
				.help = "where it listens"},
		{.key = "backlog", .kind = OPTION_NUMBER, .help = "how many wait"},
		END,
};

static const struct option pipeline_table[] = {
		{.key = "takes", .kind = OPTION_TYPES, .max = 6, .help = "what its body holds"},
		{.key = "steps",
				.kind = OPTION_STEPS,
				.required = true,
				.bare = true,
				.variants = stages,
				.help = "what it does"},
		{.key = "reply", .kind = OPTION_TEMPLATES, .help = "what it gives"},
		END,
};

const struct option root_table[] = {
		{.key = "listen", .kind = OPTION_TEXT, .required = true, .help = "the front door"},
		{.key = "every",
				.kind = OPTION_DURATION,
				.fallback = "1s",
				.min = 100000000,
				.max = 3600000000000,
				.help = "how often"},
		{.key = "control", .kind = OPTION_TEXT, .later = true, .help = "the control door"},
		{.key = "limits", .kind = OPTION_MAP, .table = limits_table, .help = "bounds"},
		{.key = "doors",
				.kind = OPTION_MAP,
				.list = true,
				.table = door_table,
				.help = "more doors"},
		{.key = "resources",
				.kind = OPTION_NAMED,
				.max = 3,
				.variants = drivers,
				.help = "what is outside"},
		{.key = "pipelines",
				.kind = OPTION_NAMED,
				.table = pipeline_table,
				.help = "what can be asked"},
		END,
};

int reading_setup(void **state)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	if (!reading)
		return -1;
	arena_init(&reading->arena, NULL);
	diag_init(&reading->diag, &reading->arena);
	*state = reading;
	return 0;
}

int reading_teardown(void **state)
{
	struct reading *reading = *state;
	arena_deinit(&reading->arena);
	free(reading);
	assert_int_equal(live_report(), 0);
	return 0;
}

void reading_read(struct reading *reading, struct text text)
{
	diag_init(&reading->diag, &reading->arena);
	reading->map = conf_read("t.yaml", text, root_table, &reading->arena, &reading->diag);
}

static const char *finish(struct buffer *buffer)
{
	buffer_append_char(buffer, '\0');
	assert_false(buffer->failed);
	return buffer->data;
}

const char *reading_errors(struct reading *reading)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, &reading->arena);
	diag_sort(&reading->diag);
	for (const struct diag_item *item = reading->diag.first; item; item = item->next) {
		assert_string_equal(item->place.file, "t.yaml");
		assert_false(item->warning);
		buffer_append_format(&buffer, "%u:%u: %s\n", item->place.line, item->place.column,
				item->message);
	}
	return finish(&buffer);
}

const char *reading_tree(struct reading *reading)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, &reading->arena);
	show_map(&buffer, reading->map);
	return finish(&buffer);
}
