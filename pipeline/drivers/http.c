/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quote source over HTTP: one multi handle of libcurl a source, so that one which hangs or is
 * gone holds up no connection and no queue but its own.
 *
 * There is no connection that stays, so `up` is what the last attempt to get one has shown. It
 * refuses nobody: to ask is how to find out that it is up again. When it is opened it is connected
 * once, to know its name and whether it is there; where it is `required` that is what is waited
 * for.
 */
#include "pipeline/drivers/http.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/drivers/http_text.h"

enum { METHOD_GET, METHOD_POST };

static const char *const methods[] = {[METHOD_GET] = "GET", [METHOD_POST] = "POST", NULL};

static const struct option options[] = {
		{.key = "http",
				.kind = OPTION_TEMPLATE,
				.required = true,
				.help = "the URL it is asked by; values are percent-encoded"},
		{.key = "method",
				.kind = OPTION_CHOICE,
				.choices = methods,
				.fallback = "GET",
				.help = "`POST`: it is sent a body of JSON"},
		{.key = "body",
				.kind = OPTION_TEMPLATES,
				.help = "with POST: its body, where a fan-out says nothing else"},
		{.key = "headers",
				.kind = OPTION_TEMPLATES,
				.max = 50,
				.help = "sent with each question; one without a value is left "
					"out"},
		{.key = "connections",
				.kind = OPTION_NUMBER,
				.fallback = "100",
				.min = 1,
				.max = 10000,
				.help = "questions at once, each on a connection to itself"},
		{.key = "queue",
				.kind = OPTION_NUMBER,
				.fallback = "1000",
				.max = 1000000,
				.help = "questions that wait for one; beyond it it is refused"},
		{.key = "max_body",
				.kind = OPTION_SIZE,
				.min = 1,
				.help = "bytes of an answer; `limits.message` if not given"},
		{.key = "ca",
				.kind = OPTION_TEXT,
				.min = 1,
				.help = "with https: a file of certificates, of which one must "
					"have signed the server's; the system's, if not given"},
		{.key = "required",
				.kind = OPTION_BOOLEAN,
				.fallback = "false",
				.help = "whether the daemon is ready only once it was connected"},
		SOURCE_OPTIONS,
		{0},
};

static bool check_url(const struct option_value *url, struct diag *diag)
{
	const char *wrong = http_url_wrong(url->template);
	if (wrong)
		diag_error(diag, url->place, "%s", wrong);
	return !wrong;
}

static bool check_headers(const struct option_map *headers, struct diag *diag)
{
	bool right = true;
	for (size_t i = 0; headers && i < headers->count; i++) {
		const struct option_value *header = &headers->values[i];
		const char *wrong = http_header_wrong(header->name);
		if (wrong)
			diag_error(diag, header->place, "\"%.*s\": %s", TEXT_ARG(header->name),
					wrong);
		right = right && !wrong;
	}
	return right;
}

static bool check_body(const struct option_map *map, struct diag *diag)
{
	const struct option_value *body = option_get(map, "body");
	if (!body->given || option_get(map, "method")->choice == METHOD_POST)
		return true;
	diag_error(diag, body->place, "a GET has no body: say `method: POST` or leave it out");
	return false;
}

static bool check_ca(const struct option_map *map, struct diag *diag)
{
	const struct option_value *ca = option_get(map, "ca");
	struct text url = option_get(map, "http")->template->parts[0].literal;
	if (!ca->given || http_url_is_secure(url))
		return true;
	diag_error(diag, ca->place,
			"certificates are for https: say so in the URL or leave it out");
	return false;
}

static void init_limits(struct http_source *hs, const struct option_value *max_body)
{
	hs->limits = *hs->context->limits;
	if (max_body->given && max_body->number < hs->limits.bytes)
		hs->limits.bytes = (uint32_t)max_body->number;
}

static void init_templates(struct http_source *hs, const struct option_map *map)
{
	const struct template *url = option_get(map, "http")->template;
	uint32_t count = 0;
	hs->templates[count++] = (struct source_template){url, TEMPLATE_URL};
	for (size_t i = 0; hs->headers && i < hs->headers->count; i++)
		hs->templates[count++] = (struct source_template){
				hs->headers->values[i].template, TEMPLATE_TEXT};
	hs->source.templates = hs->templates;
	hs->source.template_count = count;
}

static void init_source(struct http_source *hs, const char *name, const struct option_map *map)
{
	const struct option_value *body = option_get(map, "body");
	hs->source = (struct source){
			.ops = &http_source_ops,
			.name = name,
			.ask_size = http_ask_size,
			.limits = &hs->limits,
			.body = body->given ? body->map : NULL,
			.without_target = true,
			.without_body = !hs->post,
	};
	hs->resource = (struct resource){
			.driver = &http_driver,
			.name = name,
			.place = option_get(map, "http")->place,
			.required = option_number(map, "required") != 0,
			.source = &hs->source,
	};
	init_templates(hs, map);
}

static char *copy_origin(const struct option_map *map)
{
	struct text url = option_get(map, "http")->template->parts[0].literal;
	struct text origin = http_url_origin(url);
	return strndup(origin.data, origin.size);
}

static struct resource *create(const struct driver_context *context, const char *name,
		const struct option_map *map, struct diag *diag)
{
	const struct option_map *headers = option_get(map, "headers")->map;
	bool right = check_url(option_get(map, "http"), diag);
	right = right && check_ca(map, diag);
	right = check_headers(headers, diag) && right;
	right = check_body(map, diag) && right;
	if (!right)
		return NULL;
	size_t texts = 1 + (headers ? headers->count : 0);
	struct http_source *hs = calloc(1, sizeof(*hs) + texts * sizeof(struct source_template));
	char *origin = copy_origin(map);
	if (!hs || !origin) {
		free(hs);
		free(origin);
		diag_error(diag, map->place, "out of memory");
		return NULL;
	}
	hs->context = context;
	hs->headers = headers;
	hs->ca = option_get(map, "ca");
	hs->origin = origin;
	hs->post = option_get(map, "method")->choice == METHOD_POST;
	hs->connections = (uint32_t)option_number(map, "connections");
	hs->queue = (uint32_t)option_number(map, "queue");
	init_limits(hs, option_get(map, "max_body"));
	init_source(hs, name, map);
	return &hs->resource;
}

static void tell(struct http_source *hs, const char *event, const char *reason)
{
	hs->context->event(hs->context->user, event, text_of(hs->source.name), reason);
}

void http_source_up(struct http_source *hs, const char *reason)
{
	if (!hs->source.stats.up)
		tell(hs, "source_up", reason);
	hs->source.stats.up = true;
	if (!hs->resource.ready)
		tell(hs, "source_ready", reason);
	hs->resource.ready = true;
}

/* Where it never was up there is nothing new in it. */
void http_source_down(struct http_source *hs, const char *reason)
{
	if (hs->source.stats.up)
		tell(hs, "source_down", reason);
	hs->source.stats.up = false;
}

static void probed(struct http_source *hs, CURLcode result)
{
	http_probe_end(hs, result);
	if (result == CURLE_OK) {
		http_source_up(hs, "connected");
		return;
	}
	hs->resource.trouble = http_failure(result)->message.data;
	http_source_down(hs, hs->resource.trouble);
}

static void on_ended(void *user, struct transfer *transfer, CURLcode result)
{
	struct http_source *hs = user;
	if (transfer == &hs->probe)
		probed(hs, result);
	else
		http_call_ended(container_of(transfer, struct http_call, transfer), result);
}

static int open_transfers(struct http_source *hs)
{
	struct loop *loop = hs->context->loop;
	if (!hs->spare)
		hs->spare = calloc(hs->connections, sizeof(CURL *));
	if (!hs->spare)
		return -ENOMEM;
	if (!hs->lookups.left && !http_lookups_init(&hs->lookups, loop->async, hs->connections))
		return -ENOMEM;
	semaphore_init(&hs->semaphore, loop->async, hs->connections, hs->queue);
	return transfers_init(&hs->transfers, loop, (long)hs->connections, on_ended, hs);
}

/* A file that is there may still hold no certificate: that shows when it is connected. */
static bool check_ca_file(const struct option_value *ca, struct diag *diag)
{
	if (!ca->given || access(ca->text.data, R_OK) == 0)
		return true;
	diag_error(diag, ca->place, "\"%.*s\" cannot be read: %s", TEXT_ARG(ca->text),
			strerror(errno));
	return false;
}

/* Again and again until it is ready, so a probe that failed is followed by the next. */
static void open_source(struct resource *resource, struct diag *diag)
{
	struct http_source *hs = container_of(resource, struct http_source, resource);
	if (!hs->transfers.multi && !check_ca_file(hs->ca, diag))
		return;
	int r = hs->transfers.multi ? 0 : open_transfers(hs);
	if (r == 0 && !hs->resource.ready && !hs->probing)
		r = http_probe_start(hs);
	if (r < 0)
		diag_error(diag, resource->place, "source \"%s\" cannot be opened: %s",
				resource->name, strerror(-r));
}

/* Threads that still resolve a name are libcurl's, and hold nothing of ours. */
static bool close_source(struct resource *resource, uint64_t until)
{
	struct http_source *hs = container_of(resource, struct http_source, resource);
	if (hs->probing) {
		transfers_stop(&hs->transfers, &hs->probe);
		http_probe_end(hs, CURLE_OK);
	}
	while (hs->spare_count > 0)
		curl_easy_cleanup(hs->spare[--hs->spare_count]);
	transfers_deinit(&hs->transfers);
	http_sockets_deinit(&hs->sockets);
	return true;
}

static void free_source(struct resource *resource)
{
	struct http_source *hs = container_of(resource, struct http_source, resource);
	free(hs->spare);
	http_lookups_deinit(&hs->lookups);
	free(hs->origin);
	free(hs);
}

const struct driver http_driver = {
		.name = "http",
		.kind = DRIVER_SOURCE,
		.help = "a quote source that is asked over HTTP",
		.options = options,
		.create = create,
		.open = open_source,
		.close = close_source,
		.free = free_source,
};
