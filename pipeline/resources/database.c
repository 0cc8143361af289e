/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which values a query wants, found without a database: a configuration is checked before anything
 * is opened. Only as much of SQL is read as is needed not to take a colon in a string or a comment
 * for a parameter; what is wrong in the SQL is the database's to say.
 */
#include "pipeline/resources/database.h"

#include "pipeline/base/arena.h"

struct scan {
	const char *at;
	const char *end;
};

static bool looks_at(const struct scan *scan, struct text what)
{
	return (size_t)(scan->end - scan->at) >= what.size &&
	       memcmp(scan->at, what.data, what.size) == 0;
}

/* Moves behind the next `what`, or to the end. */
static void skip_behind(struct scan *scan, struct text what)
{
	const char *found = memmem(scan->at, (size_t)(scan->end - scan->at), what.data, what.size);
	scan->at = found ? found + what.size : scan->end;
}

/* What a name may be made of, in SQLite and in PostgreSQL. */
static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The two that open it can't be part of what closes it. */
static void skip_comment(struct scan *scan)
{
	scan->at += 2;
	skip_behind(scan, TEXT("*/"));
}

/* A doubled quote ends one string and begins the next, which skips the same. */
static void skip_quoted(struct scan *scan)
{
	char quote = *scan->at++;
	skip_behind(scan, quote == '[' ? TEXT("]") : (struct text){&quote, 1});
}

/* The name behind a colon; absent where there is none, and for a cast's `::`. */
static struct text scan_parameter(struct scan *scan)
{
	scan->at++;
	const char *start = scan->at;
	if (looks_at(scan, TEXT(":"))) {
		scan->at++;
		return (struct text){NULL, 0};
	}
	while (scan->at < scan->end && is_name(*scan->at))
		scan->at++;
	return (struct text){scan->at > start ? start : NULL, (size_t)(scan->at - start)};
}

/* The next parameter; absent at the end. */
static struct text next_parameter(struct scan *scan)
{
	struct text name = {NULL, 0};
	while (scan->at < scan->end && name.data == NULL) {
		if (strchr("'\"`[", *scan->at) && *scan->at)
			skip_quoted(scan);
		else if (looks_at(scan, TEXT("--")))
			skip_behind(scan, TEXT("\n"));
		else if (looks_at(scan, TEXT("/*")))
			skip_comment(scan);
		else if (*scan->at == ':')
			name = scan_parameter(scan);
		else
			scan->at++;
	}
	return name;
}

static bool contains(const struct text *names, size_t count, struct text name)
{
	for (size_t i = 0; i < count; i++)
		if (text_equal(names[i], name))
			return true;
	return false;
}

int sql_parameters(struct text sql, struct arena *arena, const struct text **ret_names)
{
	struct scan scan = {sql.data, sql.data + sql.size};
	struct text *names = NULL;
	size_t count = 0;
	struct text name;
	while ((name = next_parameter(&scan)).data) {
		if (contains(names, count, name))
			continue;
		struct text *more = arena_resize(
				arena, names, count * sizeof(*names), (count + 1) * sizeof(*names));
		if (more == NULL)
			return -1;
		names = more;
		names[count++] = name;
	}
	*ret_names = names;
	return (int)count;
}
