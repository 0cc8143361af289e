/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What may stand in a URL and in a header: in a configuration, as templates, and for one question,
 * filled in. Pure text.
 */
#include <stdbool.h>

#include "pipeline/base/template.h"
#include "pipeline/base/text.h"

/* Bytes of a URL, and of a header's value; what is longer no server takes. */
#define HTTP_TEXT_MAX 8000

/*
 * What is wrong with a URL as it is configured; NULL: nothing. It says where to connect in plain
 * text, then may have templates.
 */
const char *http_url_wrong(const struct template *url);

/* `http://HOST:PORT` of a URL that is right: what stands before its path or query. */
struct text http_url_origin(struct text url);

/* Whether a URL that is right is one of https. */
bool http_url_is_secure(struct text url);

/* Why a URL that was filled in can't be asked; NULL: it can. */
const char *http_url_unfit(struct text url);

/* What is wrong with the name of a header that is configured; NULL: nothing. */
const char *http_header_wrong(struct text name);

/* Why a header can't have such a value; NULL: it can. */
const char *http_header_unfit(struct text value);
