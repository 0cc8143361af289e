/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a scenario. Its inputs are read from the same lines that hold the expected trace, so that
 * a file reads from top to bottom as what happens; the other lines are passed by here.
 *
 * An input is put in when all that was due before it, or at its time, has been done. What comes of
 * it is done before the next, unless that says `and`.
 */
#include "tests/sim/scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/harness.h"
#include "tests/sim/trace.h"

struct play {
	struct scenario *scenario;
	struct harness harness;
	struct trace trace;
	struct buffer lines; /* the trace, of which each line that was played is terminated */
	struct text names[PEERS_MAX];
	unsigned line; /* of the file */
	uint64_t ms;
};

static bool wrong(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(struct play *play, const char *format, ...)
{
	struct buffer *problem = &play->scenario->problem;
	char text[512];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buffer_clear(problem);
	if (play->line > 0)
		buffer_append_format(problem, "line %u: ", play->line);
	buffer_append(problem, text_of(text));
	buffer_append_char(problem, '\0');
	return false;
}

/* Takes what stands before separator off rest, and separator too; all of it where there is none. */
static struct text cut(struct text *rest, struct text separator)
{
	const char *at = memmem(rest->data, rest->size, separator.data, separator.size);
	struct text head = {rest->data, at ? (size_t)(at - rest->data) : rest->size};
	size_t size = head.size + (at ? separator.size : 0);
	*rest = (struct text){rest->data + size, rest->size - size};
	return head;
}

static struct text skip_spaces(struct text t)
{
	while (t.size > 0 && t.data[0] == ' ')
		t = (struct text){t.data + 1, t.size - 1};
	return t;
}

/* The peer of that name that is connected, or NULL. */
static struct peer *find_peer(struct play *play, struct text name)
{
	for (size_t i = 0; i < play->harness.peer_count; i++) {
		if (text_equal(play->names[i], name) && play->harness.peers[i].client)
			return &play->harness.peers[i];
	}
	return NULL;
}

static struct peer *find_or_connect(struct play *play, struct text name)
{
	struct peer *peer = find_peer(play, name);
	if (peer)
		return peer;
	peer = harness_connect(&play->harness);
	if (!peer || !peer->client)
		return NULL;
	play->names[peer - play->harness.peers] = name;
	trace_name(&play->trace, peer, name);
	return peer;
}

/* ` | ` stands for the LF before a body. */
static bool send_message(struct play *play, struct text name, struct text message)
{
	struct peer *peer = find_or_connect(play, name);
	struct text envelope = {NULL, 0};
	struct buffer buffer;
	if (!peer)
		return wrong(play, "no more peers can connect");
	if (text_begins_with(message, TEXT("["))) {
		message = (struct text){message.data + 1, message.size - 1};
		envelope = cut(&message, TEXT("] "));
	}
	buffer_init(&buffer);
	buffer_append(&buffer, cut(&message, TEXT(" | ")));
	if (message.size > 0)
		buffer_append_char(&buffer, '\n');
	buffer_append(&buffer, message);
	bool good = !buffer.failed;
	if (good)
		peer_send_text(peer, envelope, buffer_text(&buffer), play->harness.world.async.now);
	buffer_deinit(&buffer);
	return good || wrong(play, "out of memory");
}

static bool change_peer(struct play *play, struct text name, struct text what)
{
	struct peer *peer = find_peer(play, name);
	uint64_t room = ROOM_FOR_ALL;
	if (!peer)
		return wrong(play, "no peer is called %.*s", TEXT_ARG(name));
	if (text_equal(what, TEXT("leaves"))) {
		peer_leave(peer);
		return true;
	}
	if (text_equal(what, TEXT("stops reading"))) {
		peer->room = 0;
		return true;
	}
	if (text_equal(what, TEXT("is gone"))) {
		peer->gone = true;
		return true;
	}
	struct text verb = cut(&what, TEXT(" "));
	if (!text_equal(verb, TEXT("reads")) || (what.size > 0 && !text_to_u64(what, &room)))
		return wrong(play, "a peer leaves, stops reading, reads, or is gone");
	peer->room = (size_t)room;
	harness_flush(&play->harness);
	return true;
}

static struct scripted_database *find_database(struct world *world, struct text name)
{
	struct scripted_database *const all[] = {&world->catalog, &world->ledger};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (text_equal(name, text_of(all[i]->database.name)))
			return all[i];
	}
	return NULL;
}

/* A source that is down refuses at once what it is asked. */
static bool change_source(struct play *play, struct scripted_source *source, struct text what)
{
	static const struct scripted_end down = {STATUS_UNAVAILABLE, "not connected"};
	bool is_down = text_equal(what, TEXT("is down"));
	if (!is_down && !text_equal(what, TEXT("is up")))
		return wrong(play, "a source is down, or is up");
	source->at_once = is_down ? &down : NULL;
	return true;
}

static bool late(struct play *play, struct text name, uint64_t number, uint64_t begun)
{
	if (number == 0 || number > begun)
		return wrong(play, "%.*s.%" PRIu64 " has not begun", TEXT_ARG(name), number);
	trace_event(&play->trace, "%.*s.%" PRIu64 ": late", TEXT_ARG(name), number);
	return true;
}

static bool end_job(struct play *play, struct text name, uint64_t number, enum status status,
		const char *text)
{
	struct scripted_database *database = find_database(&play->harness.world, name);
	if (!database)
		return wrong(play, "there is no database %.*s", TEXT_ARG(name));
	if (status == STATUS_OK && !text)
		return wrong(play, "a row is missing");
	struct scripted_job *job = scripted_job_find(database, number);
	if (!job)
		return late(play, name, number, database->started);
	scripted_job_end(job, status, text);
	return true;
}

/* Takes `KEY=NUMBER` off the head of rest. False: it does not begin with that. */
static bool take_number(struct text *rest, struct text key, uint64_t *ret)
{
	struct text after = *rest;
	struct text head = cut(&after, TEXT(" "));
	if (!text_begins_with(head, key) ||
			!text_to_u64((struct text){head.data + key.size, head.size - key.size},
					ret))
		return false;
	*rest = after;
	return true;
}

static bool end_ask(struct play *play, struct text name, uint64_t number, enum status status,
		struct text rest)
{
	struct scripted_source *source = world_source(&play->harness.world, name);
	if (!source)
		return wrong(play, "there is no source %.*s", TEXT_ARG(name));
	struct scripted_ask *ask = scripted_ask_find(source, number);
	if (!ask)
		return late(play, name, number, source->source.stats.asked);
	uint64_t retry_ms;
	bool busy = take_number(&rest, TEXT("retry_ms="), &retry_ms);
	bool partial = text_begins_with(rest, TEXT("partial=1"));
	if ((partial && status != STATUS_OK) || (busy && status == STATUS_OK))
		return wrong(play, "what is OK may be partial, what is not may have retry_ms");
	if (partial)
		(void)cut(&rest, TEXT(" "));
	const char *text = rest.size > 0 ? rest.data : NULL;
	if (partial)
		scripted_ask_end_partly(ask, text);
	else if (busy)
		scripted_ask_end_busy(ask, status, text, retry_ms * WORLD_MS);
	else
		scripted_ask_end(ask, status, text);
	return true;
}

/* `1 ends: STATUS[ TEXT]`, of a database, or `1 answers: STATUS[ partial=1][ retry_ms=N][ TEXT]`,
 * of a source. */
static bool end_work(struct play *play, struct text name, struct text rest)
{
	uint64_t number;
	enum status status;
	struct text digits = cut(&rest, TEXT(" "));
	struct text verb = cut(&rest, TEXT(": "));
	struct text status_name = cut(&rest, TEXT(" "));
	if (!text_to_u64(digits, &number) || !status_from_text(status_name, &status))
		return wrong(play, "a job or an ask ends as NAME.NUMBER ends: STATUS TEXT");
	if (text_equal(verb, TEXT("ends")))
		return end_job(play, name, number, status, rest.size > 0 ? rest.data : NULL);
	if (text_equal(verb, TEXT("answers")))
		return end_ask(play, name, number, status, rest);
	return wrong(play, "a job ends, an ask answers");
}

/* `reload CONFIGURATION`, in one line; without one, the same again. */
static bool reload(struct play *play, struct text yaml)
{
	struct buffer line;
	buffer_init(&line);
	buffer_append(&line, yaml);
	buffer_append_char(&line, '\0');
	bool same = yaml.size == 0;
	bool taken = !line.failed &&
		     harness_reload(&play->harness, same ? play->scenario->yaml.data : line.data);
	buffer_deinit(&line);
	trace_event(&play->trace, "  %s", taken ? "taken" : "refused");
	return true;
}

/* Anything but time that passes. */
static bool put_in(struct play *play, struct text input)
{
	struct engine *engine = play->harness.engine;
	struct text rest = input;
	struct text name = cut(&rest, TEXT(" "));
	if (text_equal(input, TEXT("drain"))) {
		engine_drain(engine);
		return true;
	}
	if (text_equal(input, TEXT("cut"))) {
		engine_cut(engine);
		return true;
	}
	if (text_equal(input, TEXT("wait")))
		return true;
	if (text_equal(name, TEXT("reload")))
		return reload(play, rest);
	if (name.size > 0 && name.data[name.size - 1] == ':')
		return send_message(play, (struct text){name.data, name.size - 1}, rest);
	if (memchr(name.data, '.', name.size)) {
		rest = input;
		name = cut(&rest, TEXT("."));
		return end_work(play, name, rest);
	}
	struct scripted_source *source = world_source(&play->harness.world, name);
	return source ? change_source(play, source, rest) : change_peer(play, name, rest);
}

static size_t digits_before(struct text t)
{
	size_t count = 0;
	while (count < t.size && t.data[t.size - count - 1] >= '0' &&
			t.data[t.size - count - 1] <= '9')
		count++;
	return count;
}

static size_t digits_of(struct text t)
{
	size_t count = 0;
	while (count < t.size && t.data[count] >= '0' && t.data[count] <= '9')
		count++;
	return count;
}

/* Takes `NUMBER..NUMBER` in the head of an input apart: what stands before it and behind it. */
static bool find_range(struct text input, struct text *ret_before, uint64_t *ret_first,
		uint64_t *ret_last, struct text *ret_after)
{
	struct text after = input;
	struct text before = cut(&after, TEXT(".."));
	size_t first = digits_before(before);
	size_t last = digits_of(after);
	if (memmem(before.data, before.size, " | ", 3))
		return false;
	if (!text_to_u64((struct text){before.data + before.size - first, first}, ret_first) ||
			!text_to_u64((struct text){after.data, last}, ret_last))
		return false;
	*ret_before = (struct text){before.data, before.size - first};
	*ret_after = (struct text){after.data + last, after.size - last};
	return true;
}

/* Each of a range of numbers, one after another in the same turn. What is made of them stays, for
 * names and answers are borrowed. */
static bool put_in_each(struct play *play, struct text input)
{
	struct arena *arena = &play->harness.world.arena;
	uint64_t first;
	uint64_t last;
	struct text before, after;
	if (!find_range(input, &before, &first, &last, &after))
		return put_in(play, input);
	for (uint64_t number = first; number <= last; number++) {
		struct text one = arena_format(arena, "%.*s%" PRIu64 "%.*s", TEXT_ARG(before),
				number, TEXT_ARG(after));
		if (!one.data)
			return wrong(play, "out of memory");
		if (!put_in(play, one))
			return false;
	}
	return true;
}

static bool play_input(struct play *play, uint64_t ms, struct text input)
{
	struct world *world = &play->harness.world;
	struct text what = input;
	bool same_turn = text_begins_with(input, TEXT("and "));
	if (ms < play->ms)
		return wrong(play, "time does not run backwards");
	if (same_turn && ms != play->ms)
		return wrong(play, "`and` is for the same time");
	play->ms = ms;
	if (same_turn)
		(void)cut(&what, TEXT("and "));
	else
		world_at(world, ms);
	trace_input(&play->trace, "%.*s", TEXT_ARG(input));
	async_enter(&world->async, world->async.now);
	return put_in_each(play, what);
}

static bool play_line(struct play *play, struct text line)
{
	uint64_t ms;
	struct text rest = skip_spaces(line);
	if (rest.size == 0 || rest.data[0] == '#') {
		/* What stands between is told of first. */
		(void)world_turn(&play->harness.world);
		buffer_append(&play->trace.text, line);
		buffer_append_char(&play->trace.text, '\n');
		return true;
	}
	struct text time = cut(&rest, TEXT(" "));
	rest = skip_spaces(rest);
	if (!text_begins_with(rest, TEXT("> ")))
		return true;
	if (!text_to_u64(time, &ms))
		return wrong(play, "an input's time is in whole milliseconds");
	(void)cut(&rest, TEXT("> "));
	return play_input(play, ms, rest);
}

static bool play_all(struct play *play)
{
	struct text rest = play->scenario->head;
	while (rest.size > 0) {
		(void)scenario_cut_line(&rest);
		play->line++;
	}
	buffer_append(&play->lines, play->scenario->trace);
	buffer_append_char(&play->lines, '\0');
	if (play->lines.failed)
		return wrong(play, "out of memory");
	rest = (struct text){play->lines.data, play->lines.size - 1};
	while (rest.size > 0) {
		struct text line = scenario_cut_line(&rest);
		play->lines.data[line.data + line.size - play->lines.data] = '\0';
		play->line++;
		if (!play_line(play, line))
			return false;
	}
	(void)world_turn(&play->harness.world);
	return true;
}

static bool load(struct play *play)
{
	struct harness *harness = &play->harness;
	if (!harness_load(harness, play->scenario->yaml.data))
		return wrong(play, "%s", world_problems(&harness->world));
	return true;
}

/* A scenario that leaves something undone says so, and one that says so does. */
static bool finished(struct play *play)
{
	const struct world *world = &play->harness.world;
	const struct engine_counts *counts = engine_counts(play->harness.engine);
	uint64_t jobs = world->catalog.running + world->ledger.running;
	uint64_t asks = world_asks(world);
	uint64_t requests = counts->in_flight + counts->reaping;
	bool idle = jobs + asks + requests == 0;
	if (idle && play->scenario->unfinished)
		return wrong(play, "nothing is unfinished at the end");
	return idle || play->scenario->unfinished ||
	       wrong(play,
			       "unfinished at the end: %" PRIu64 " jobs, %" PRIu64 " asks, %" PRIu64
			       " requests",
			       jobs, asks, requests);
}

static bool clear_away(struct play *play)
{
	play->trace.stopped = true;
	if (play->harness.engine)
		return harness_deinit(&play->harness);
	/* Nothing but a configuration with errors was made. */
	buffer_deinit(&play->harness.record);
	arena_deinit(&play->harness.world.arena);
	return true;
}

bool scenario_run(struct scenario *scenario)
{
	struct play *play = calloc(1, sizeof(*play));
	if (!play)
		return false;
	play->scenario = scenario;
	buffer_init(&play->lines);
	harness_init(&play->harness);
	trace_init(&play->trace, &play->harness);
	play->trace.observe = scenario->observe;
	bool good = load(play) && play_all(play) && finished(play);
	if (!clear_away(play))
		good = wrong(play, "not everything was given back at the end");
	buffer_append(&scenario->happened, buffer_text(&play->trace.text));
	trace_deinit(&play->trace);
	buffer_deinit(&play->lines);
	free(play);
	return good;
}
