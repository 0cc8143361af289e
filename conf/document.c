/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libyaml's events, made into nodes in one pass. Events rather than libyaml's own documents,
 * because the limits have to be kept while reading: libyaml 0.2.5 nests without a bound and in
 * quadratic time. Its scanner runs at most 1024 characters ahead of the events, so stopping at an
 * event is soon enough.
 */
#include "conf/document.h"

#include <stdint.h>
#include <stdlib.h>
#include <yaml.h>

#include "conf/names.h"
#include "pipeline/base/arena.h"

/* Steps may nest 32 deep, and each takes three levels; the rest is for what lies around them. */
#define DEPTH_MAX 128

/* A list or map that has begun and not ended. */
struct level {
	struct node *node;
	struct node **end; /* where the next child is linked */
	struct node *key;  /* of a MAP: read, and its value is not yet */
};

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct text text;
	struct arena *arena;
	struct diag *diag;
	struct node *root;
	struct level levels[DEPTH_MAX];
	size_t depth;
};

static struct place place_of(const struct reader *reader, yaml_mark_t mark)
{
	return (struct place){reader->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static struct place place_start(const struct reader *reader)
{
	return (struct place){reader->file, 1, 1};
}

static bool out_of_memory(struct reader *reader)
{
	diag_error(reader->diag, (struct place){reader->file, 0, 0}, "out of memory");
	return false;
}

/* libyaml gives no mark for bytes that it could not even decode, only their offset. */
static struct place place_of_byte(const struct reader *reader, size_t offset)
{
	struct place place = place_start(reader);
	for (size_t i = 0; i < offset && i < reader->text.size; i++) {
		unsigned char byte = (unsigned char)reader->text.data[i];
		if (byte == '\n') {
			place.line++;
			place.column = 1;
		} else if ((byte & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

/* The scanner itself only says that a character cannot start any token. */
static bool stopped_at_tab(const yaml_parser_t *parser)
{
	return parser->error == YAML_SCANNER_ERROR && parser->unread > 0 &&
	       *parser->buffer.pointer == '\t';
}

static bool report_syntax(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct place place = place_of(reader, parser->problem_mark);
	if (parser->error == YAML_MEMORY_ERROR)
		return out_of_memory(reader);
	if (parser->error == YAML_READER_ERROR)
		diag_error(reader->diag, place_of_byte(reader, parser->problem_offset),
				"not UTF-8 text: %s", parser->problem);
	else if (stopped_at_tab(parser))
		diag_error(reader->diag, place, "a tab where only spaces may indent");
	else if (parser->context)
		diag_error(reader->diag, place, "not YAML: %s, %s that begins at line %zu",
				parser->problem, parser->context, parser->context_mark.line + 1);
	else
		diag_error(reader->diag, place, "not YAML: %s", parser->problem);
	return false;
}

static struct node *new_node(struct reader *reader, enum node_kind kind, const yaml_event_t *event)
{
	struct node *node = arena_zalloc(reader->arena, sizeof(*node));
	if (!node) {
		(void)out_of_memory(reader);
		return NULL;
	}
	node->kind = kind;
	node->text = TEXT("");
	node->place = place_of(reader, event->start_mark);
	return node;
}

static void refuse_properties(struct reader *reader, struct place place, const yaml_char_t *anchor,
		const yaml_char_t *tag)
{
	if (anchor)
		diag_error(reader->diag, place, "an anchor, &%s: write each value where it is used",
				(const char *)anchor);
	if (tag)
		diag_error(reader->diag, place, "a tag: what a value is follows from its key");
}

/* Text ends up in paths, addresses and SQL, where a NUL would cut it short unseen. */
static bool read_scalar(struct reader *reader, const yaml_event_t *event, struct node *node)
{
	struct text text = {(const char *)event->data.scalar.value, event->data.scalar.length};
	if (memchr(text.data, '\0', text.size)) {
		diag_error(reader->diag, node->place, "\\0 may not stand in a text");
		node->kind = NODE_REFUSED;
		return true;
	}
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = arena_copy(reader->arena, text);
	return node->text.data || out_of_memory(reader);
}

/* Links node to what it stands in: as a key, or as a value after its key. */
static void attach(struct reader *reader, struct node *node)
{
	if (reader->depth == 0) {
		reader->root = node;
		return;
	}
	struct level *level = &reader->levels[reader->depth - 1];
	if (level->node->kind == NODE_MAP) {
		struct node *key = level->key;
		level->key = key ? NULL : node;
		if (!key && (node->kind == NODE_MAP || node->kind == NODE_LIST))
			diag_error(reader->diag, node->place, "expected a key, not %s",
					names_show_node(node, reader->arena));
		if (!key || key->kind != NODE_SCALAR)
			return;
		node->key = key->text;
		node->key_place = key->place;
	}
	*level->end = node;
	level->end = &node->next;
	level->node->count++;
}

static bool begin(struct reader *reader, struct node *node)
{
	attach(reader, node);
	if (reader->depth == DEPTH_MAX) {
		diag_error(reader->diag, node->place, "nested more than %d deep", DEPTH_MAX);
		return false;
	}
	reader->levels[reader->depth++] = (struct level){.node = node, .end = &node->first};
	return true;
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *left = *(const struct node *const *)a;
	const struct node *right = *(const struct node *const *)b;
	int order = text_compare(left->key, right->key);
	if (order != 0)
		return order;
	if (left->key_place.line != right->key_place.line)
		return left->key_place.line < right->key_place.line ? -1 : 1;
	return left->key_place.column < right->key_place.column ? -1 : 1;
}

/* Sorted first: a file has room for some ten thousand keys, too many to compare each with each. */
static bool refuse_duplicates(struct reader *reader, const struct node *map)
{
	const struct node **sorted = malloc((map->count + 1) * sizeof(struct node *));
	if (!sorted)
		return out_of_memory(reader);
	size_t count = 0;
	for (const struct node *node = map->first; node; node = node->next)
		sorted[count++] = node;
	qsort(sorted, count, sizeof(struct node *), compare_keys);
	for (size_t i = 1; i < count; i++) {
		if (text_equal(sorted[i - 1]->key, sorted[i]->key))
			diag_error(reader->diag, sorted[i]->key_place,
					"%s is given twice, first at line %u",
					names_show(sorted[i]->key, reader->arena),
					sorted[i - 1]->key_place.line);
	}
	free(sorted);
	return true;
}

static bool end(struct reader *reader)
{
	const struct node *node = reader->levels[--reader->depth].node;
	return node->kind != NODE_MAP || refuse_duplicates(reader, node);
}

static bool read_alias(struct reader *reader, const yaml_event_t *event)
{
	struct node *node = new_node(reader, NODE_REFUSED, event);
	if (!node)
		return false;
	diag_error(reader->diag, node->place, "an alias, *%s: write the value here",
			(const char *)event->data.alias.anchor);
	attach(reader, node);
	return true;
}

/* False when reading ends here, with its error reported. */
static bool read_event(struct reader *reader, const yaml_event_t *event)
{
	struct node *node;
	switch (event->type) {
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return true;
	case YAML_DOCUMENT_START_EVENT:
		if (reader->root)
			diag_error(reader->diag, place_of(reader, event->start_mark),
					"a second document begins here; expected only one");
		return !reader->root;
	case YAML_ALIAS_EVENT:
		return read_alias(reader, event);
	case YAML_SCALAR_EVENT:
		node = new_node(reader, NODE_SCALAR, event);
		if (!node || !read_scalar(reader, event, node))
			return false;
		refuse_properties(reader, node->place, event->data.scalar.anchor,
				event->data.scalar.tag);
		attach(reader, node);
		return true;
	case YAML_SEQUENCE_START_EVENT:
		node = new_node(reader, NODE_LIST, event);
		if (!node)
			return false;
		refuse_properties(reader, node->place, event->data.sequence_start.anchor,
				event->data.sequence_start.tag);
		return begin(reader, node);
	case YAML_MAPPING_START_EVENT:
		node = new_node(reader, NODE_MAP, event);
		if (!node)
			return false;
		refuse_properties(reader, node->place, event->data.mapping_start.anchor,
				event->data.mapping_start.tag);
		return begin(reader, node);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return end(reader);
	}
	return true;
}

static bool read_stream(struct reader *reader)
{
	bool more = true;
	while (more) {
		yaml_event_t event;
		if (!yaml_parser_parse(&reader->parser, &event))
			return report_syntax(reader);
		more = event.type != YAML_STREAM_END_EVENT;
		bool good = read_event(reader, &event);
		yaml_event_delete(&event);
		if (!good)
			return false;
	}
	if (!reader->root)
		diag_error(reader->diag, place_start(reader),
				"is empty; expected a map of options");
	return reader->root;
}

const struct node *document_read(
		const char *file, struct text text, struct arena *arena, struct diag *diag)
{
	/* libyaml would take a byte order mark too, but count it as a column. */
	if (text.size >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
		text = (struct text){text.data + 3, text.size - 3};
	struct reader reader = {.file = file, .text = text, .arena = arena, .diag = diag};
	if (!yaml_parser_initialize(&reader.parser)) {
		(void)out_of_memory(&reader);
		return NULL;
	}
	/* Without this a file may say by its first bytes that it is UTF-16. */
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.size);
	bool good = read_stream(&reader);
	yaml_parser_delete(&reader.parser);
	return good ? reader.root : NULL;
}
