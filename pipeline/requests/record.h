/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is told of a request at its end, once: for telemetry. Everything is borrowed for the call.
 */
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/base/text.h"
#include "pipeline/wire/status.h"

struct pipeline;
struct run;

struct record {
	const struct pipeline *pipeline; /* NULL: the request named none */
	const struct run *run; /* its stages, for pipeline_visit(); NULL: none was started */
	struct text id;	       /* absent: it had no readable one */
	struct text trace;
	uint64_t client; /* the connection's number */
	uint64_t generation;
	enum status status;
	enum reason reason; /* why it was cancelled; REASON_NONE: it was not */
	uint64_t us;
	size_t bytes_in;
	uint64_t parts;	  /* of its answer that went before its reply */
	size_t bytes_out; /* theirs and the reply's, whether they arrived or not; 0: none was
			     made */
};
