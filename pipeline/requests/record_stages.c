/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read from the frames that a request has left behind. They are written as they stand:
 * those of a flight, or of what was cut off, may still run.
 */
#include "pipeline/async/async.h"
#include "pipeline/base/buffer.h"
#include "pipeline/requests/record.h"
#include "pipeline/requests/record_members.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/run.h"
#include "pipeline/stages/stage.h"

struct writer {
	struct buffer *buffer;
	const struct stage_frame *frame;
	uint64_t flight;
	bool any;
};

static void begin(struct writer *writer)
{
	if (writer->any)
		buffer_append_char(writer->buffer, ',');
	writer->any = true;
}

/* ended: 0: not yet. */
static void write_us(struct writer *writer, uint64_t since, uint64_t ended)
{
	uint64_t until = ended ? ended : writer->frame->run->async->now;
	buffer_append(writer->buffer, TEXT(",\"us\":"));
	buffer_append_u64(writer->buffer, (until - since) / 1000);
}

static void write_flight(struct writer *writer)
{
	if (writer->flight) {
		buffer_append(writer->buffer, TEXT(",\"flight\":"));
		buffer_append_u64(writer->buffer, writer->flight);
	}
	buffer_append_char(writer->buffer, '}');
}

static void write_stage(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct writer *writer = user;
	struct buffer *buffer = writer->buffer;
	bool has_ended = frame->frame.state == FRAME_ENDED;
	writer->frame = frame;
	writer->flight = flight;
	begin(writer);
	buffer_append(buffer, TEXT("{\"path\":"));
	buffer_append_json_string(buffer, frame->stage->path);
	write_us(writer, frame->started, has_ended ? frame->frame.ended : 0);
	buffer_append(buffer, TEXT(",\"status\":"));
	buffer_append_json_string(
			buffer, has_ended ? status_text(frame->frame.outcome.status) : TEXT("-"));
	write_flight(writer);
}

static bool has_status(const struct ask_told *told)
{
	return told->end == ASK_WON || told->end == ASK_BEATEN || told->end == ASK_FAILED;
}

static void write_ask(void *user, const struct ask_told *told)
{
	struct writer *writer = user;
	struct buffer *buffer = writer->buffer;
	begin(writer);
	buffer_append(buffer, TEXT("{\"stage\":"));
	buffer_append_json_string(buffer, writer->frame->stage->path);
	buffer_append(buffer, TEXT(",\"source\":"));
	buffer_append(buffer, told->source);
	buffer_append(buffer, TEXT(",\"element\":"));
	buffer_append(buffer, told->element.data ? told->element : TEXT("null"));
	write_us(writer, told->asked, told->ended);
	buffer_append(buffer, TEXT(",\"end\":"));
	buffer_append_json_string(buffer, text_of(ask_end_name(told->end)));
	buffer_append(buffer, TEXT(",\"status\":"));
	if (has_status(told))
		buffer_append_json_string(buffer, status_text(told->status));
	else
		buffer_append(buffer, TEXT("null"));
	write_flight(writer);
}

static void write_asks(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct writer *writer = user;
	writer->frame = frame;
	writer->flight = flight;
	if (frame->stage->type->asks)
		frame->stage->type->asks(frame, write_ask, writer);
}

static void cut_ask(void *user, const struct ask_told *told)
{
	struct run *run = user;
	if (told->end != ASK_OPEN || told->heard)
		return;
	run->losers++;
	run->wasted_ns += run->async->now - told->asked;
}

static void cut_stage(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct run *run = user;
	const struct stage_type *type = frame->stage->type;
	uint64_t since = 0;
	if (frame->run != run)
		run_take_costs(run, frame->run);
	if (type->asks)
		type->asks(frame, cut_ask, run);
	if (type->queued_since)
		since = type->queued_since(frame);
	if (since)
		run->queue_ns += run->async->now - since;
}

void record_cut(const struct pipeline *pipeline, struct run *run)
{
	pipeline_visit_own(pipeline, run->root, cut_stage, run);
}

static void write_all(struct buffer *buffer, const struct record *record, stage_visit_fn visit)
{
	struct writer writer = {.buffer = buffer};
	buffer_append_char(buffer, '[');
	if (record->run)
		pipeline_visit(record->pipeline, record->run->root, visit, &writer);
	buffer_append_char(buffer, ']');
}

void record_write_stages(struct buffer *buffer, const struct record *record)
{
	write_all(buffer, record, write_stage);
}

void record_write_sources(struct buffer *buffer, const struct record *record)
{
	write_all(buffer, record, write_asks);
}
