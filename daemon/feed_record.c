/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All members are always there, null where there is nothing to say, so that a reader needs no
 * cases. Stages are written as they stand: those of a flight, or of what was cut off, may still
 * run.
 */
#include "daemon/feed_record.h"

#include "pipeline/async/async.h"
#include "pipeline/base/buffer.h"
#include "pipeline/requests/record.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/run.h"
#include "pipeline/stages/stage.h"

struct stages {
	struct buffer *buffer;
	bool any;
};

static void write_number(struct buffer *buffer, struct text key, uint64_t number)
{
	buffer_append(buffer, key);
	buffer_append_u64(buffer, number);
}

static void write_text(struct buffer *buffer, struct text key, struct text value)
{
	buffer_append(buffer, key);
	if (value.data)
		buffer_append_json_string(buffer, value);
	else
		buffer_append(buffer, TEXT("null"));
}

static void write_stage(void *user, const struct stage_frame *frame, uint64_t flight)
{
	struct stages *stages = user;
	struct buffer *buffer = stages->buffer;
	bool has_ended = frame->frame.state == FRAME_ENDED;
	uint64_t until = frame->ended ? frame->ended : frame->run->async->now;
	if (stages->any)
		buffer_append_char(buffer, ',');
	stages->any = true;
	write_text(buffer, TEXT("{\"path\":"), frame->stage->path);
	write_number(buffer, TEXT(",\"us\":"), (until - frame->started) / 1000);
	write_text(buffer, TEXT(",\"status\":"),
			has_ended ? status_text(frame->frame.outcome.status) : TEXT("-"));
	if (flight)
		write_number(buffer, TEXT(",\"flight\":"), flight);
	buffer_append_char(buffer, '}');
}

static void write_stages(struct buffer *buffer, const struct record *record)
{
	struct stages stages = {.buffer = buffer};
	buffer_append(buffer, TEXT(",\"stages\":["));
	if (record->run)
		pipeline_visit(record->pipeline, record->run->root, write_stage, &stages);
	buffer_append_char(buffer, ']');
}

static struct text reason_text(enum reason reason)
{
	return reason == REASON_NONE ? (struct text){NULL, 0} : text_of(reason_name(reason));
}

void feed_write_record(struct buffer *buffer, const struct record *record)
{
	static const struct run none;
	const struct run *run = record->run ? record->run : &none;
	struct text pipeline = record->pipeline ? record->pipeline->name : (struct text){NULL, 0};
	write_text(buffer, TEXT(",\"pipeline\":"), pipeline);
	write_text(buffer, TEXT(",\"id\":"), record->id);
	write_number(buffer, TEXT(",\"client\":\"c"), record->client);
	write_text(buffer, TEXT("\",\"status\":"), status_text(record->status));
	write_text(buffer, TEXT(",\"reason\":"), reason_text(record->reason));
	write_number(buffer, TEXT(",\"us\":"), record->us);
	write_number(buffer, TEXT(",\"queue_us\":"), run->queue_ns / 1000);
	write_stages(buffer, record);
	write_text(buffer, TEXT(",\"cache\":"), run->cache);
	write_number(buffer, TEXT(",\"bytes_in\":"), record->bytes_in);
	write_number(buffer, TEXT(",\"bytes_out\":"), record->bytes_out);
	write_number(buffer, TEXT(",\"parts\":"), record->parts);
	write_number(buffer, TEXT(",\"losers\":"), run->losers);
	write_number(buffer, TEXT(",\"wasted_us\":"), run->wasted_ns / 1000);
	write_number(buffer, TEXT(",\"generation\":"), record->generation);
	write_text(buffer, TEXT(",\"trace\":"), record->trace);
}
