/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to feeds. What `from` names is held against the pipelines that the file has, not
 * against those that compiled, so that an error in one of them hides none here.
 */
#include "pipeline/base/arena.h"
#include "pipeline/base/random.h"
#include "pipeline/requests/feed_row.h"
#include "pipeline/requests/record_feed.h"
#include "pipeline/requests/record_members.h"

#define ALL_STATUSES ((UINT32_C(1) << STATUS_COUNT) - 1)

static const char *const side_choices[] = {[OUTLIER_ABOVE] = "above",
		[OUTLIER_BELOW] = "below",
		[OUTLIER_BOTH] = "both",
		NULL};

static const struct option outlier_options[] = {
		{.key = "field",
				.kind = OPTION_WORD,
				.required = true,
				.bare = true,
				.help = "the member whose usual is learned; a number"},
		{.key = "over",
				.kind = OPTION_NUMBER,
				.fallback = "4",
				.min = 1,
				.max = 1000,
				.help = "deviations from the mean that make it an outlier"},
		{.key = "least",
				.kind = OPTION_NUMBER,
				.fallback = "1",
				.min = 1,
				.help = "it must be at least so far from the mean, in the member's "
					"own unit"},
		{.key = "memory",
				.kind = OPTION_NUMBER,
				.fallback = "1000",
				.min = 1,
				.max = 1000000000,
				.help = "readings that the mean goes back: one weighs 1/memory"},
		{.key = "warmup",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.min = 1,
				.max = 1000000000,
				.help = "readings before the first that may be an outlier"},
		{.key = "side",
				.kind = OPTION_CHOICE,
				.choices = side_choices,
				.fallback = "above",
				.help = "on which side of the mean"},
		{.key = NULL},
};

const struct option record_feed_options[] = {
		{.key = "from",
				.kind = OPTION_TEXT,
				.list = true,
				.fallback = "request",
				.min = 1,
				.max = 100,
				.help = "`request`, `request.PIPELINE` or "
					"`request.PIPELINE.STATUS`; or several"},
		{.key = "where",
				.kind = OPTION_NAMED,
				.table = feed_where_options,
				.min = 1,
				.help = "by member: what must hold of it, for each of them"},
		{.key = "outlier",
				.kind = OPTION_MAP,
				.table = outlier_options,
				.help = "only those that are far from what is usual; published as "
					"outlier.NAME"},
		{.key = "sample",
				.kind = OPTION_NUMBER,
				.fallback = "1",
				.min = 1,
				.max = 1000000000,
				.help = "one of each so many in a row, picked by chance"},
		{.key = "select",
				.kind = OPTION_WORD,
				.list = true,
				.min = 1,
				.max = 100,
				.help = "the members that are told; all, if not given"},
		{.key = NULL},
};

struct compiling_feeds {
	struct arena *arena;
	struct diag *diag;
	const struct option_map *pipelines;
	struct feed_row **rows; /* one a pipeline, and the last for requests that name none; NULL:
				   nobody sees them */
	size_t row_count;
	size_t row_size; /* with room for all feeds */
};

static void *allocate(struct compiling_feeds *compiling, struct place place, size_t size)
{
	void *block = arena_zalloc(compiling->arena, size);
	if (!block)
		diag_error(compiling->diag, place, "out of memory");
	return block;
}

/* ---- from */

/* The row of a pipeline's requests; of "-", of those that name none. False, reported: there is none
 * of that name. */
static bool find_row(struct compiling_feeds *compiling, struct text name, struct place place,
		size_t *ret)
{
	struct nearest nearest;
	nearest_init(&nearest, name);
	*ret = compiling->row_count - 1;
	if (text_equal(name, TEXT("-")))
		return true;
	for (size_t i = 0; i < compiling->pipelines->count; i++) {
		*ret = i;
		if (text_equal(compiling->pipelines->values[i].name, name))
			return true;
		nearest_see(&nearest, compiling->pipelines->values[i].name);
	}
	diag_error(compiling->diag, place, "there is no pipeline \"%.*s\"%s", TEXT_ARG(name),
			nearest_hint(&nearest, compiling->arena));
	return false;
}

static bool find_statuses(struct compiling_feeds *compiling, struct text name, struct place place,
		uint32_t *ret)
{
	enum status status;
	struct nearest nearest;
	nearest_init(&nearest, name);
	/* MORE ends nothing, so nobody would ever be told of it. */
	if (status_from_text(name, &status) && status != STATUS_MORE) {
		*ret = UINT32_C(1) << status;
		return true;
	}
	for (int i = 0; i < STATUS_COUNT; i++)
		nearest_see(&nearest, status_text((enum status)i));
	diag_error(compiling->diag, place, "there is no status \"%.*s\"%s", TEXT_ARG(name),
			nearest_hint(&nearest, compiling->arena));
	return false;
}

/* A feed is in a row once, however many of its `from` lead there. A row is made for its first. */
static void see(struct compiling_feeds *compiling, size_t i, struct record_feed *feed,
		struct place place, uint32_t statuses)
{
	struct feed_row *row = compiling->rows[i];
	if (!row)
		row = compiling->rows[i] = allocate(compiling, place, compiling->row_size);
	if (!row)
		return;
	if (row->count == 0 || row->seers[row->count - 1].feed != feed)
		row->seers[row->count++] = (struct feed_seer){feed, 0};
	row->seers[row->count - 1].statuses |= statuses;
}

static void compile_from(struct compiling_feeds *compiling, struct record_feed *feed,
		const struct option_value *from)
{
	struct text rest = from->text;
	struct text kind = text_take(&rest, '.');
	struct text pipeline = text_take(&rest, '.');
	struct text status = text_take(&rest, '.');
	uint32_t statuses = ALL_STATUSES;
	size_t row;
	if (!text_equal(kind, TEXT("request")) || rest.data) {
		diag_error(compiling->diag, from->place,
				"expected `request`, `request.PIPELINE` or "
				"`request.PIPELINE.STATUS`, not \"%.*s\"",
				TEXT_ARG(from->text));
		return;
	}
	if (!pipeline.data) {
		for (size_t i = 0; i < compiling->row_count; i++)
			see(compiling, i, feed, from->place, statuses);
		return;
	}
	if (status.data && !find_statuses(compiling, status, from->place, &statuses))
		return;
	if (find_row(compiling, pipeline, from->place, &row))
		see(compiling, row, feed, from->place, statuses);
}

/* ---- the rest of a feed */

static size_t count_members(void)
{
	size_t count = 0;
	while (record_members[count].name)
		count++;
	return count;
}

static void compile_select(struct compiling_feeds *compiling, struct record_feed *feed,
		const struct option_value *select)
{
	size_t count = select->given ? select->list->count : count_members();
	const struct record_member **members =
			allocate(compiling, select->place, count * sizeof(const void *));
	if (!members)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct option_value *name = select->given ? &select->list->values[i] : NULL;
		members[i] = name ? feed_member(name->text, name->place, compiling->arena,
						    compiling->diag)
				  : &record_members[i];
		for (size_t k = 0; members[i] && k < i; k++) {
			if (members[k] == members[i])
				diag_error(compiling->diag, name->place, "\"%s\" is chosen twice",
						members[i]->name);
		}
	}
	feed->members = members;
	feed->member_count = count;
}

static void compile_outlier(struct compiling_feeds *compiling, struct record_feed *feed,
		const struct option_map *options, struct outlier_rule *rule)
{
	const struct option_value *field = option_get(options, "field");
	*rule = (struct outlier_rule){
			.over = (double)option_number(options, "over"),
			.least = (double)option_number(options, "least"),
			.memory = option_number(options, "memory"),
			.warmup = option_number(options, "warmup"),
			.side = (enum outlier_side)option_get(options, "side")->choice,
	};
	feed->field = feed_member(field->text, field->place, compiling->arena, compiling->diag);
	if (feed->field && feed->field->kind != MEMBER_NUMBER)
		diag_error(compiling->diag, field->place, "\"%s\" is no number, so it has no mean",
				feed->field->name);
}

static void compile_feed(struct compiling_feeds *compiling, struct record_feed *feed,
		const struct option_value *entry, struct random *random)
{
	const struct option_map *options = entry->map;
	const struct option_value *outlier = option_get(options, "outlier");
	const struct option_list *from = option_get(options, "from")->list;
	struct outlier_rule rule = {0};
	feed->name = entry->name;
	feed->options = options;
	feed->filter = feed_where_compile(
			option_get(options, "where")->map, compiling->arena, compiling->diag);
	if (outlier->given)
		compile_outlier(compiling, feed, outlier->map, &rule);
	compile_select(compiling, feed, option_get(options, "select"));
	for (size_t i = 0; i < from->count; i++)
		compile_from(compiling, feed, &from->values[i]);
	feed->topic = arena_format(compiling->arena, "%s.%.*s", outlier->given ? "outlier" : "feed",
			TEXT_ARG(feed->name));
	if (!feed->topic.data)
		diag_error(compiling->diag, entry->place, "out of memory");
	record_feed_chain(feed, &rule, option_number(options, "sample"), random);
}

/* ---- all of them */

static bool compile_feeds(struct compiling_feeds *compiling, struct record_feeds *feeds,
		const struct option_map *map, struct random *random)
{
	if (map->count == 0)
		return true;
	feeds->all = allocate(compiling, map->place, map->count * sizeof(*feeds->all));
	if (!feeds->all)
		return false;
	for (size_t i = 0; i < map->count; i++) {
		if (!map->values[i].wrong)
			compile_feed(compiling, &feeds->all[feeds->count++], &map->values[i],
					random);
	}
	return true;
}

struct record_feeds *record_feeds_compile(const struct option_map *map,
		const struct option_map *pipelines, struct random *random, struct arena *arena,
		struct diag *diag)
{
	static const struct option_map none;
	struct compiling_feeds compiling = {.arena = arena,
			.diag = diag,
			.pipelines = pipelines,
			.row_count = pipelines->count + 1};
	if (!map)
		map = &none;
	struct record_feeds *feeds = allocate(&compiling, map->place, sizeof(*feeds));
	compiling.rows = allocate(
			&compiling, map->place, compiling.row_count * sizeof(*compiling.rows));
	compiling.row_size = sizeof(struct feed_row) + map->count * sizeof(struct feed_seer);
	if (!feeds || !compiling.rows || !compile_feeds(&compiling, feeds, map, random))
		return NULL;
	feeds->rows = (const struct feed_row **)compiling.rows;
	feeds->unnamed = compiling.rows[compiling.row_count - 1];
	return feeds;
}
