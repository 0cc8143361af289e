/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a question goes to must not be for a client to say, so a URL's values stand behind its host
 * and port, percent-encoded. Encoding does nothing to a dot, and an encoded slash is one to servers
 * that decode first; `..` in a path means the folder above. So a value may not make such a segment,
 * whatever stands beside it.
 */
#include "pipeline/drivers/http_text.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "pipeline/base/endpoint.h"

#define WHERE "expected http://HOST:PORT or https://HOST:PORT, then / or ? before the first ${…}"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c);
}

/* Bytes of `http://` or `https://`; 0: it begins with neither. */
static size_t scheme_size(struct text url)
{
	static const struct text schemes[] = {{"http://", 7}, {"https://", 8}};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (text_begins_with(url, schemes[i]))
			return schemes[i].size;
	}
	return 0;
}

/* Where host and port end. */
static size_t authority_end(struct text url)
{
	size_t at = scheme_size(url);
	while (at < url.size && !is_one_of(url.data[at], "/?#"))
		at++;
	return at;
}

struct text http_url_origin(struct text url)
{
	return (struct text){url.data, authority_end(url)};
}

bool http_url_is_secure(struct text url)
{
	return scheme_size(url) == sizeof("https://") - 1;
}

static bool is_port(struct text t)
{
	return t.size <= 5 && endpoint_is_port(t);
}

/* A name, an IPv4 address, or an IPv6 address in brackets. */
static size_t host_size(struct text t)
{
	size_t at = 0;
	if (t.size == 0 || t.data[0] != '[') {
		while (at < t.size && (is_alphanumeric(t.data[at]) || is_one_of(t.data[at], "-._")))
			at++;
		return at;
	}
	for (at = 1; at < t.size && (is_hex(t.data[at]) || is_one_of(t.data[at], ":."));)
		at++;
	return at > 1 && at < t.size && t.data[at] == ']' ? at + 1 : 0;
}

static bool is_authority(struct text t)
{
	size_t host = host_size(t);
	if (host == 0 || host == t.size)
		return host > 0;
	return t.data[host] == ':' && is_port((struct text){t.data + host + 1, t.size - host - 1});
}

/* One segment of a path, as far as it was read. */
struct segment {
	unsigned dots;
	bool other;
};

static bool is_dots(const struct segment *segment)
{
	return !segment->other && (segment->dots == 1 || segment->dots == 2);
}

/*
 * What stands at `at` for a server that decodes a path before it takes it apart, as nginx does: an
 * escape of a dot or a slash is that, and a backslash is a slash to some. All else stays as it is
 * written.
 */
static char path_character(struct text t, size_t at, size_t *ret_size)
{
	static const struct {
		const char *escape;
		char means;
	} escapes[] = {{"%2e", '.'}, {"%2f", '/'}, {"%5c", '/'}};
	for (size_t i = 0; i < sizeof(escapes) / sizeof(*escapes); i++) {
		*ret_size = 3;
		if (t.size - at >= 3 && strncasecmp(t.data + at, escapes[i].escape, 3) == 0)
			return escapes[i].means;
	}
	*ret_size = 1;
	return t.data[at];
}

/*
 * Reads on in a path. False: a segment that has ended is `.` or `..`. At a `?` the path is over,
 * and *at stands there.
 */
static bool read_path(struct segment *segment, struct text t, size_t *at)
{
	for (size_t size; *at < t.size && t.data[*at] != '?'; *at += size) {
		char c = path_character(t, *at, &size);
		if (c == '/' && is_dots(segment))
			return false;
		if (c == '/')
			*segment = (struct segment){0, false};
		else if (c == '.')
			segment->dots++;
		else
			segment->other = true;
	}
	return *at == t.size || !is_dots(segment);
}

/* RFC 3986's characters, escapes whole, and no fragment, which is never sent. */
static const char *literal_wrong(struct text t)
{
	for (size_t i = 0; i < t.size; i++) {
		if (t.data[i] <= ' ' || t.data[i] > '~' || is_one_of(t.data[i], "\"#<>\\^`{|}"))
			return "expected only characters of a URL; others are written %XX";
		if (t.data[i] == '%' && !(t.size - i >= 3 && is_hex(t.data[i + 1]) &&
							is_hex(t.data[i + 2])))
			return "expected two hexadecimal digits after %";
	}
	return NULL;
}

/* The path's segments, each value taken for something that is no dot. */
static bool has_dot_segments(const struct template *url, size_t at)
{
	struct segment segment = {0, true}; /* the host's name */
	for (size_t i = 0; i < url->part_count; i++, at = 0) {
		struct text literal = url->parts[i].literal;
		if (url->parts[i].path) {
			segment.other = true;
			continue;
		}
		if (!read_path(&segment, literal, &at))
			return true;
		if (at < literal.size)
			return false;
	}
	return is_dots(&segment);
}

const char *http_url_wrong(const struct template *url)
{
	if (url->part_count == 0 || url->parts[0].path)
		return WHERE;
	struct text first = url->parts[0].literal;
	size_t scheme = scheme_size(first), end = authority_end(first);
	if (scheme == 0 || (end == first.size && url->part_count > 1))
		return WHERE;
	struct text authority = {first.data + scheme, end - scheme};
	if (memchr(authority.data, '@', authority.size))
		return "expected no user and password in a URL; put them into `headers`";
	if (!is_authority(authority))
		return WHERE;
	for (size_t i = 0; i < url->part_count; i++) {
		struct text literal = url->parts[i].literal;
		size_t from = i == 0 ? end : 0; /* brackets are allowed in the host only */
		const char *wrong =
				url->parts[i].path
						? NULL
						: literal_wrong((struct text){literal.data + from,
								  literal.size - from});
		if (wrong)
			return wrong;
	}
	return has_dot_segments(url, end) ? "expected no segments . or .. in a URL" : NULL;
}

const char *http_url_unfit(struct text url)
{
	struct segment segment = {0, true};
	size_t at = authority_end(url);
	if (url.size > HTTP_TEXT_MAX)
		return "the URL is too long with these values";
	if (!read_path(&segment, url, &at) || (at == url.size && is_dots(&segment)))
		return "a value may not be . or .. in a URL's path";
	return NULL;
}

static bool is_named(struct text name, const char *const *names)
{
	for (; *names; names++) {
		if (strlen(*names) == name.size && strncasecmp(*names, name.data, name.size) == 0)
			return true;
	}
	return false;
}

const char *http_header_wrong(struct text name)
{
	/* What the connection, or the framing of a message, hangs on (RFC 9110, 9112). */
	static const char *const reserved[] = {"host", "content-length", "transfer-encoding",
			"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade",
			"expect", "accept-encoding", "range", "sluice-budget", "traceparent", NULL};
	for (size_t i = 0; i < name.size; i++) {
		if (!is_alphanumeric(name.data[i]) && !is_one_of(name.data[i], "!#$%&'*+-.^_`|~"))
			return "expected the name of a header: letters, digits and -";
	}
	if (is_named(name, reserved))
		return "this header is sluiced's own to set";
	return NULL;
}

const char *http_header_unfit(struct text value)
{
	if (value.size > HTTP_TEXT_MAX)
		return "a header is too long with these values";
	for (size_t i = 0; i < value.size; i++) {
		if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] > '~')
			return "a header can hold only visible ASCII and spaces";
	}
	return NULL;
}
