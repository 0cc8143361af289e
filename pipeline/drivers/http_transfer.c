/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question as libcurl sees it. HTTP/1.1 only, so that a question has its connection to itself
 * and a cancel, which closes it, reaches nobody else. No timeout of libcurl's but the one for
 * connecting: the loop's wheel is the one clock that knows deadlines.
 *
 * Nothing comes in from outside the configuration: no proxy of the environment, no redirect, no
 * cookie, no other protocol.
 */
#include <errno.h>
#include <inttypes.h>
#include <strings.h>

#include "pipeline/base/arena.h"
#include "pipeline/drivers/asking.h"
#include "pipeline/drivers/http.h"

#define CONNECT_MS 2000L

/* Bytes of all headers of an answer, interim ones included; libcurl has no bound of its own. */
#define HEADERS_MAX ((size_t)64 * 1024)

static size_t stop(struct http_call *call, enum http_trouble trouble)
{
	call->trouble = trouble;
	return 0; /* fewer bytes than there are: CURLE_WRITE_ERROR */
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct http_call *call = user;
	size_t bytes = size * count;
	if (bytes > call->source->limits.bytes - call->body.size)
		return stop(call, HTTP_TOO_LARGE);
	buffer_append(&call->body, (struct text){data, bytes});
	return call->body.failed ? stop(call, HTTP_NO_MEMORY) : bytes;
}

/* Each line, with its end: of interim answers, of the answer, and of what follows its chunks. */
static size_t on_header(char *data, size_t size, size_t count, void *user)
{
	struct http_call *call = user;
	struct text line = {data, size * count};
	call->header_bytes += line.size;
	if (text_begins_with(line, TEXT("HTTP/")))
		call->headed = false;
	else if (text_equal(line, TEXT("\r\n")) || text_equal(line, TEXT("\n")))
		call->headed = true;
	return call->header_bytes > HEADERS_MAX ? stop(call, HTTP_HEADERS_TOO_LARGE) : line.size;
}

/* In place of the system's, which libcurl was built to look for in a file or in a folder. */
static bool set_ca(CURL *easy, const char *path)
{
	return curl_easy_setopt(easy, CURLOPT_CAINFO, path) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
}

/*
 * CURLOPT_QUICK_EXIT: without it a handle that is removed while its host's name resolves waits for
 * the thread that does it, and so would the loop (Curl_resolver_kill() in lib/asyn-thread.c).
 */
static bool set_basics(CURL *easy, const struct option_value *ca)
{
	bool set = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
	set = curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && set;
	set = curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluiced/" SLUICE_VERSION) == CURLE_OK &&
	      set;
	if (ca->given)
		set = set_ca(easy, ca->text.data) && set;
	(void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	(void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	return set;
}

static CURL *make_easy(const struct http_source *hs)
{
	CURL *easy = curl_easy_init();
	if (easy && !set_basics(easy, hs->ca)) {
		curl_easy_cleanup(easy);
		return NULL;
	}
	return easy;
}

static CURL *take_easy(struct http_source *hs)
{
	if (hs->spare_count > 0)
		return hs->spare[--hs->spare_count];
	CURL *easy = make_easy(hs);
	if (!easy)
		return NULL;
	(void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)hs->limits.bytes);
	return easy;
}

/* Nothing of a question stays in its handle. To set a body, even none, makes it a POST. */
static void give_easy(struct http_source *hs, CURL *easy)
{
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
	if (hs->post)
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
	(void)curl_easy_setopt(easy, CURLOPT_PRIVATE, NULL);
	hs->spare[hs->spare_count++] = easy;
}

/* Headers of a question, in its arena: libcurl only reads them. */
struct headers {
	struct arena *arena;
	struct curl_slist *first;
	struct curl_slist **end;
	bool failed;
};

static void add_header(struct headers *headers, struct text line)
{
	struct curl_slist *node = arena_alloc(headers->arena, sizeof(*node));
	if (!node || !line.data) {
		headers->failed = true;
		return;
	}
	*node = (struct curl_slist){.data = (char *)line.data};
	*headers->end = node;
	headers->end = &node->next;
}

/* Whether the configuration gives that header a value for this question. */
static bool is_given(const struct http_call *call, const char *name)
{
	const struct option_map *map = call->source->headers;
	for (size_t i = 0; map && i < map->count; i++) {
		struct text given = map->values[i].name;
		if (strlen(name) == given.size && strncasecmp(name, given.data, given.size) == 0)
			return call->ask->texts[1 + i].size > 0;
	}
	return false;
}

static void add_configured(struct headers *headers, const struct http_call *call)
{
	const struct option_map *map = call->source->headers;
	for (size_t i = 0; map && i < map->count; i++) {
		struct text name = map->values[i].name;
		struct text value = call->ask->texts[1 + i];
		if (value.size > 0)
			add_header(headers, arena_format(headers->arena, "%.*s: %.*s",
							    TEXT_ARG(name), TEXT_ARG(value)));
	}
}

/* NULL where memory is out. A large body would have libcurl ask before it sends it: not here. */
static struct curl_slist *make_headers(const struct http_call *call, uint64_t budget_ms)
{
	struct arena *arena = call->ask->arena;
	struct headers headers = {.arena = arena};
	headers.end = &headers.first;
	if (!is_given(call, "accept"))
		add_header(&headers, TEXT("Accept: application/json"));
	if (call->source->post) {
		add_header(&headers, TEXT("Expect:"));
		if (!is_given(call, "content-type"))
			add_header(&headers, TEXT("Content-Type: application/json"));
	}
	if (budget_ms != ASKING_FOREVER)
		add_header(&headers, arena_format(arena, "Sluice-Budget: %" PRIu64, budget_ms));
	if (call->ask->trace.size > 0)
		add_header(&headers, arena_format(arena, "traceparent: %.*s",
						     TEXT_ARG(call->ask->trace)));
	add_configured(&headers, call);
	return headers.failed ? NULL : headers.first;
}

static bool set_up(struct http_call *call, CURL *easy, uint64_t budget_ms)
{
	struct text url = arena_copy(call->ask->arena, call->ask->texts[0]);
	struct text body = call->ask->body;
	struct curl_slist *headers = make_headers(call, budget_ms);
	if (!url.data || !headers || curl_easy_setopt(easy, CURLOPT_URL, url.data) != CURLE_OK)
		return false;
	(void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	if (call->source->post) {
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.size);
		(void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data ? body.data : "");
	}
	http_lookup_watch(&call->source->lookups, &call->lookup, easy);
	http_sockets_watch(&call->source->sockets, &call->opening, easy);
	(void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	(void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	return true;
}

int http_transfer_start(struct http_call *call, uint64_t budget_ms)
{
	struct http_source *hs = call->source;
	CURL *easy = take_easy(hs);
	if (!easy)
		return -ENOMEM;
	buffer_init_arena(&call->body, call->ask->arena);
	transfer_init(&call->transfer, easy);
	if (set_up(call, easy, budget_ms) && transfers_start(&hs->transfers, &call->transfer) == 0)
		return 0;
	give_easy(hs, easy);
	return -ENOMEM;
}

void http_transfer_end(struct http_call *call, CURLcode result)
{
	http_lookup_end(&call->lookup, call->transfer.easy, result);
	long connected = 0;
	(void)curl_easy_getinfo(call->transfer.easy, CURLINFO_NUM_CONNECTS, &connected);
	call->source->source.stats.connected += (uint64_t)connected;
	give_easy(call->source, call->transfer.easy);
}

int http_probe_start(struct http_source *hs)
{
	CURL *easy = make_easy(hs);
	if (!easy)
		return -ENOMEM;
	transfer_init(&hs->probe, easy);
	http_lookup_watch(&hs->lookups, &hs->probe_lookup, easy);
	(void)curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	if (curl_easy_setopt(easy, CURLOPT_URL, hs->origin) == CURLE_OK &&
			transfers_start(&hs->transfers, &hs->probe) == 0) {
		hs->probing = true;
		return 0;
	}
	curl_easy_cleanup(easy);
	return -ENOMEM;
}

void http_probe_end(struct http_source *hs, CURLcode result)
{
	http_lookup_end(&hs->probe_lookup, hs->probe.easy, result);
	hs->probing = false;
	curl_easy_cleanup(hs->probe.easy);
}
