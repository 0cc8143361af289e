/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All members are always there, null where there is nothing to say, so that a reader needs no
 * cases.
 */
#include "pipeline/requests/record_members.h"

#include "pipeline/base/buffer.h"
#include "pipeline/requests/record.h"
#include "pipeline/stages/pipeline.h"
#include "pipeline/stages/run.h"

static const struct text none = {NULL, 0};

/* What a request that ran nothing has to say. */
static const struct run *run_of(const struct record *record)
{
	static const struct run nothing;
	return record->run ? record->run : &nothing;
}

static struct text pipeline_text(const struct record *record)
{
	return record->pipeline ? record->pipeline->name : none;
}

static struct text id_text(const struct record *record)
{
	return record->id;
}

static struct text trace_text(const struct record *record)
{
	return record->trace;
}

static struct text cache_text(const struct record *record)
{
	return run_of(record)->cache;
}

static struct text status_of(const struct record *record)
{
	return status_text(record->status);
}

static struct text reason_text(const struct record *record)
{
	return record->reason == REASON_NONE ? none : text_of(reason_name(record->reason));
}

static uint64_t us_number(const struct record *record)
{
	return record->us;
}

static uint64_t queue_us_number(const struct record *record)
{
	return run_of(record)->queue_ns / 1000;
}

static uint64_t bytes_in_number(const struct record *record)
{
	return record->bytes_in;
}

static uint64_t bytes_out_number(const struct record *record)
{
	return record->bytes_out;
}

static uint64_t parts_number(const struct record *record)
{
	return record->parts;
}

static uint64_t losers_number(const struct record *record)
{
	return run_of(record)->losers;
}

static uint64_t wasted_us_number(const struct record *record)
{
	return run_of(record)->wasted_ns / 1000;
}

static uint64_t generation_number(const struct record *record)
{
	return record->generation;
}

static void write_client(struct buffer *buffer, const struct record *record)
{
	buffer_append(buffer, TEXT("\"c"));
	buffer_append_u64(buffer, record->client);
	buffer_append_char(buffer, '"');
}

static struct text nth_status(size_t n)
{
	return n < STATUS_COUNT ? status_text((enum status)n) : none;
}

static struct text nth_reason(size_t n)
{
	return n < DRAIN ? text_of(reason_name((enum reason)(n + 1))) : none;
}

static struct text nth_verdict(size_t n)
{
	static const char *const verdicts[] = {"hit", "miss", "stale", "joined"};
	return n < sizeof(verdicts) / sizeof(verdicts[0]) ? text_of(verdicts[n]) : none;
}

const struct record_member record_members[] = {
		{.name = "pipeline", .kind = MEMBER_TEXT, .text = pipeline_text},
		{.name = "id", .kind = MEMBER_TEXT, .text = id_text},
		{.name = "client", .kind = MEMBER_TOLD, .write = write_client},
		{.name = "status", .kind = MEMBER_TEXT, .text = status_of, .nth = nth_status},
		{.name = "reason", .kind = MEMBER_TEXT, .text = reason_text, .nth = nth_reason},
		{.name = "us", .kind = MEMBER_NUMBER, .number = us_number},
		{.name = "queue_us", .kind = MEMBER_NUMBER, .number = queue_us_number},
		{.name = "stages", .kind = MEMBER_TOLD, .write = record_write_stages},
		{.name = "sources", .kind = MEMBER_TOLD, .write = record_write_sources},
		{.name = "cache", .kind = MEMBER_TEXT, .text = cache_text, .nth = nth_verdict},
		{.name = "bytes_in", .kind = MEMBER_NUMBER, .number = bytes_in_number},
		{.name = "bytes_out", .kind = MEMBER_NUMBER, .number = bytes_out_number},
		{.name = "parts", .kind = MEMBER_NUMBER, .number = parts_number},
		{.name = "losers", .kind = MEMBER_NUMBER, .number = losers_number},
		{.name = "wasted_us", .kind = MEMBER_NUMBER, .number = wasted_us_number},
		{.name = "generation", .kind = MEMBER_NUMBER, .number = generation_number},
		{.name = "trace", .kind = MEMBER_TEXT, .text = trace_text},
		{.name = NULL},
};

const struct record_member *record_member_find(struct text name)
{
	const struct record_member *member = record_members;
	while (member->name && !text_equal(text_of(member->name), name))
		member++;
	return member->name ? member : NULL;
}

static void write_text(struct buffer *buffer, struct text value)
{
	if (value.data)
		buffer_append_json_string(buffer, value);
	else
		buffer_append(buffer, TEXT("null"));
}

void record_member_write(const struct record_member *member, struct buffer *buffer,
		const struct record *record)
{
	buffer_append(buffer, TEXT(",\""));
	buffer_append(buffer, text_of(member->name));
	buffer_append(buffer, TEXT("\":"));
	switch (member->kind) {
	case MEMBER_NUMBER:
		buffer_append_u64(buffer, member->number(record));
		break;
	case MEMBER_TEXT:
		write_text(buffer, member->text(record));
		break;
	case MEMBER_TOLD:
		member->write(buffer, record);
		break;
	}
}
