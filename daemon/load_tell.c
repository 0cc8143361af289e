/* SPDX-License-Identifier: Apache-2.0 */
/* What there was no memory to put in words is passed by; of errors at least that is said. */
#include "daemon/load_tell.h"

#include <inttypes.h>

#include "daemon/feed.h"
#include "daemon/receipt.h"
#include "daemon/state.h"
#include "systemd/notify.h"

/* What of a refusal's errors stands on the feed; the log has all. */
#define ERRORS_TOLD 10

static struct text words_of(struct arena *arena, const struct diag_item *item)
{
	const struct place *place = &item->place;
	if (!place->file)
		return text_of(item->message);
	if (place->line == 0)
		return arena_format(arena, "%s: %s", place->file, item->message);
	return arena_format(arena, "%s:%u:%u: %s", place->file, place->line, place->column,
			item->message);
}

/* The errors that are still to be told. */
struct errors {
	const struct diag_item *next;
	struct arena *arena;
	size_t told;
};

static struct errors errors_of(const struct diag *diag)
{
	return (struct errors){diag->first, diag->arena, 0};
}

/* The next of them in words; where there was no memory for any, that. False: all have been told. */
static bool next_error(struct errors *errors, struct text *ret)
{
	*ret = (struct text){NULL, 0};
	for (; errors->next && !ret->data; errors->next = errors->next->next) {
		if (!errors->next->warning)
			*ret = words_of(errors->arena, errors->next);
	}
	if (!ret->data && errors->told == 0)
		*ret = TEXT("out of memory");
	errors->told += ret->data != NULL;
	return ret->data != NULL;
}

/* The first of the errors is the one in STATUS=. */
void load_tell_refused(struct daemon *daemon, const struct diag *diag)
{
	struct errors errors = errors_of(diag);
	struct buffer members;
	struct text words, first = {NULL, 0};
	uint64_t number = daemon->current->generation.number;
	buffer_init(&members);
	buffer_append_format(&members, "\"generation\":%" PRIu64 ",\"errors\":[", number);
	while (next_error(&errors, &words)) {
		log_line(&daemon->log, LOG_LEVEL_WARNING, "reload refused", {"error", words});
		if (errors.told == 1)
			first = words;
		if (errors.told > 1 && errors.told <= ERRORS_TOLD)
			buffer_append_char(&members, ',');
		if (errors.told <= ERRORS_TOLD)
			buffer_append_json_string(&members, words);
	}
	buffer_append_char(&members, ']');
	feed_daemon_members(daemon->feed, "reload_refused", buffer_text(&members));
	buffer_deinit(&members);
	notify_ready("serving generation %" PRIu64 "; reload refused: %.*s", number,
			TEXT_ARG(first));
}

void load_tell_failed(struct daemon *daemon, const struct diag *diag)
{
	struct errors errors = errors_of(diag);
	struct text words;
	while (next_error(&errors, &words)) {
		struct log_field fields[] = {{"error", words}, {NULL, {NULL, 0}}};
		log_write(&daemon->log, LOG_LEVEL_WARNING, "a resource cannot be opened", fields);
		feed_daemon(daemon->feed, "open_failed", fields);
	}
}

static void tell_warnings(struct daemon *daemon, const struct build *build)
{
	const struct diag *diag = &build->diag;
	for (const struct diag_item *item = diag->first; item; item = item->next)
		log_line(&daemon->log, LOG_LEVEL_WARNING, "configuration",
				{"warning", words_of(diag->arena, item)});
}

static void tell_reloaded(struct daemon *daemon, const struct build *before)
{
	const struct build *build = daemon->current;
	struct buffer members, words;
	uint64_t number = build->generation.number;
	buffer_init(&members);
	buffer_init(&words);
	buffer_append_format(&members,
			"\"generation\":%" PRIu64 ",\"before\":%" PRIu64 ",\"changes\":[", number,
			before->generation.number);
	receipt_append_json(&members, &before->config, &build->config);
	buffer_append_char(&members, ']');
	receipt_append_words(&words, &before->config, &build->config);
	char digits[24];
	struct text generation = {digits, (size_t)(format_u64(digits, number) - digits)};
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "reloaded", {"generation", generation},
			{"changes", buffer_text(&words)});
	feed_daemon_members(daemon->feed, "reloaded", buffer_text(&members));
	notify_ready("serving generation %" PRIu64, number);
	buffer_deinit(&members);
	buffer_deinit(&words);
}

void load_tell_taken(struct daemon *daemon, const struct build *before)
{
	tell_warnings(daemon, daemon->current);
	tell_reloaded(daemon, before);
}
