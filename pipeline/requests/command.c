/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: targets that begin with `$`. They never count in flight and are never refused by
 * admission.
 */
#include "pipeline/requests/internal.h"

bool command_is_cancel(struct text message)
{
	struct text name = TEXT("$cancel");
	if (!text_begins_with(message, name))
		return false;
	return message.size == name.size || message.data[name.size] == ' ' ||
	       message.data[name.size] == '\n';
}

void command_cancel(struct client *client, struct text envelope, struct text id)
{
	if (client->in_flight == 0)
		return;
	struct request *request = in_flight_find(client, envelope, id);
	if (!request || request->state != REQUEST_RUNNING)
		return;
	request_cut(request, ASKED);
}

/* OK, as the refusal is as yet, but in a drain. */
static void ping(struct engine *engine, struct refusal *refusal)
{
	if (!engine->draining)
		return;
	refusal->status = STATUS_UNAVAILABLE;
	refusal->message = "draining";
	refusal->keys.retry_ms = admission_retry_ms(engine, NULL);
}

void command_receive(struct engine *engine, struct client *client, struct text envelope,
		const struct wire_request *wire, size_t bytes_in, uint64_t received)
{
	struct refusal refusal = {.id = wire->id,
			.trace = wire->trace,
			.bytes_in = bytes_in,
			.received = received};
	group_start(engine);
	if (text_equal(wire->target, TEXT("$ping"))) {
		ping(engine, &refusal);
	} else {
		refusal.status = STATUS_UNIMPLEMENTED;
		refusal.message = "no such command on this door";
	}
	reply_refuse(engine, client, envelope, &refusal);
}
