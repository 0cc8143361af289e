/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each thing that is said of a member becomes one test, and the tests are run in the file's order.
 * What can't hold of any record (a status that there is not, a number of a text) is an error when
 * it is compiled, so that nobody waits for an event that can never come.
 */
#include "pipeline/requests/feed_where.h"

#include "pipeline/base/arena.h"
#include "pipeline/requests/record.h"
#include "pipeline/requests/record_members.h"

/* IS and IS_NOT: one of the list. */
enum operation { IS, IS_NOT, ABOVE, BELOW, PRESENT, ABSENT };

struct feed_test {
	const struct record_member *member;
	enum operation operation;
	uint64_t number;
	const struct option_list *list;
	const uint64_t *numbers; /* of the list, where the member is one */
};

/* Most that one member can have: one a key of the table. */
#define TESTS_MAX 5

const struct option feed_where_options[] = {
		{.key = "equals",
				.kind = OPTION_TEXT,
				.list = true,
				.bare = true,
				.min = 1,
				.max = 100,
				.help = "it is this, or one of these"},
		{.key = "not",
				.kind = OPTION_TEXT,
				.list = true,
				.min = 1,
				.max = 100,
				.help = "it is not this, or none of these"},
		{.key = "above",
				.kind = OPTION_NUMBER,
				.help = "it is a greater number, in the member's own unit"},
		{.key = "below",
				.kind = OPTION_NUMBER,
				.help = "it is a smaller number, in the member's own unit"},
		{.key = "present",
				.kind = OPTION_BOOLEAN,
				.help = "true: it is not null; false: it is"},
		{.key = NULL},
};

struct compiling_where {
	struct arena *arena;
	struct diag *diag;
	struct feed_test *next;
	const struct record_member *member; /* of which something is said */
};

const struct record_member *feed_member(
		struct text name, struct place place, struct arena *arena, struct diag *diag)
{
	const struct record_member *found = record_member_find(name);
	struct nearest nearest;
	if (found)
		return found;
	nearest_init(&nearest, name);
	for (const struct record_member *member = record_members; member->name; member++)
		nearest_see(&nearest, text_of(member->name));
	diag_error(diag, place, "the event of a request has no member \"%.*s\"%s", TEXT_ARG(name),
			nearest_hint(&nearest, arena));
	return NULL;
}

/* Whether a text member may ever be this. */
static void check_text(struct compiling_where *compiling, const struct option_value *value)
{
	const struct record_member *member = compiling->member;
	struct nearest nearest;
	if (!member->nth)
		return;
	nearest_init(&nearest, value->text);
	for (size_t n = 0; member->nth(n).data; n++) {
		if (text_equal(member->nth(n), value->text))
			return;
		nearest_see(&nearest, member->nth(n));
	}
	diag_error(compiling->diag, value->place, "\"%s\" is never \"%.*s\"%s", member->name,
			TEXT_ARG(value->text), nearest_hint(&nearest, compiling->arena));
}

static const uint64_t *read_numbers(
		struct compiling_where *compiling, const struct option_list *list)
{
	uint64_t *numbers = arena_zalloc(compiling->arena, list->count * sizeof(*numbers));
	if (!numbers) {
		diag_error(compiling->diag, list->place, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < list->count; i++) {
		if (!text_to_u64(list->values[i].text, &numbers[i]))
			diag_error(compiling->diag, list->values[i].place,
					"\"%s\" is a number: expected a whole number, not \"%.*s\"",
					compiling->member->name, TEXT_ARG(list->values[i].text));
	}
	return numbers;
}

static void add_list(struct compiling_where *compiling, enum operation operation,
		const struct option_value *value)
{
	struct feed_test *test = compiling->next++;
	*test = (struct feed_test){compiling->member, operation, 0, value->list, NULL};
	if (compiling->member->kind == MEMBER_NUMBER)
		test->numbers = read_numbers(compiling, value->list);
	for (size_t i = 0; !test->numbers && i < value->list->count; i++)
		check_text(compiling, &value->list->values[i]);
}

static void add_bound(struct compiling_where *compiling, enum operation operation,
		const struct option_value *value)
{
	if (compiling->member->kind != MEMBER_NUMBER)
		diag_error(compiling->diag, value->place,
				"\"%s\" is no number, so it is never above or below one",
				compiling->member->name);
	*compiling->next++ =
			(struct feed_test){compiling->member, operation, value->number, NULL, NULL};
}

static void add_presence(struct compiling_where *compiling, const struct option_value *value)
{
	if (compiling->member->kind != MEMBER_TEXT)
		diag_error(compiling->diag, value->place, "\"%s\" is always there",
				compiling->member->name);
	enum operation operation = value->number ? PRESENT : ABSENT;
	*compiling->next++ = (struct feed_test){compiling->member, operation, 0, NULL, NULL};
}

static void check_said(struct compiling_where *compiling, const struct option_value *entry)
{
	for (size_t i = 0; i < entry->map->count; i++) {
		if (entry->map->values[i].given)
			return;
	}
	diag_error(compiling->diag, entry->place,
			"nothing is said of \"%.*s\": expected `equals`, `not`, `above`, "
			"`below` or `present`",
			TEXT_ARG(entry->name));
}

static void compile_member(struct compiling_where *compiling, const struct option_value *entry)
{
	const struct option_value *equals = option_get(entry->map, "equals");
	const struct option_value *is_not = option_get(entry->map, "not");
	const struct option_value *above = option_get(entry->map, "above");
	const struct option_value *below = option_get(entry->map, "below");
	const struct option_value *present = option_get(entry->map, "present");
	compiling->member =
			feed_member(entry->name, entry->place, compiling->arena, compiling->diag);
	if (!compiling->member)
		return;
	if (compiling->member->kind == MEMBER_TOLD) {
		diag_error(compiling->diag, entry->place, "\"%s\" can't be compared",
				compiling->member->name);
		return;
	}
	check_said(compiling, entry);
	if (equals->given)
		add_list(compiling, IS, equals);
	if (is_not->given)
		add_list(compiling, IS_NOT, is_not);
	if (above->given)
		add_bound(compiling, ABOVE, above);
	if (below->given)
		add_bound(compiling, BELOW, below);
	if (present->given)
		add_presence(compiling, present);
	if (above->given && below->given && above->number + 1 >= below->number)
		diag_error(compiling->diag, above->place, "no number is above %zu and below %zu",
				(size_t)above->number, (size_t)below->number);
}

struct feed_where feed_where_compile(
		const struct option_map *map, struct arena *arena, struct diag *diag)
{
	if (!map)
		return (struct feed_where){NULL, 0};
	struct feed_test *tests = arena_zalloc(arena, map->count * TESTS_MAX * sizeof(*tests));
	struct compiling_where compiling = {.arena = arena, .diag = diag, .next = tests};
	if (!tests) {
		diag_error(diag, map->place, "out of memory");
		return (struct feed_where){NULL, 0};
	}
	for (size_t i = 0; i < map->count; i++)
		compile_member(&compiling, &map->values[i]);
	return (struct feed_where){tests, (size_t)(compiling.next - tests)};
}

static bool is_one_of(const struct feed_test *test, const struct record *record)
{
	uint64_t number = test->numbers ? test->member->number(record) : 0;
	struct text text = test->numbers ? (struct text){NULL, 0} : test->member->text(record);
	for (size_t i = 0; i < test->list->count; i++) {
		if (test->numbers ? number == test->numbers[i]
				  : text_equal(text, test->list->values[i].text))
			return true;
	}
	return false;
}

static bool holds(const struct feed_test *test, const struct record *record)
{
	switch (test->operation) {
	case IS:
		return is_one_of(test, record);
	case IS_NOT:
		return !is_one_of(test, record);
	case ABOVE:
		return test->member->number(record) > test->number;
	case BELOW:
		return test->member->number(record) < test->number;
	case PRESENT:
		return test->member->text(record).data != NULL;
	case ABSENT:
		break;
	}
	return test->member->text(record).data == NULL;
}

bool feed_where_holds(const struct feed_where *where, const struct record *record)
{
	for (size_t i = 0; i < where->count; i++) {
		if (!holds(&where->tests[i], record))
			return false;
	}
	return true;
}
