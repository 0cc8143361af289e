/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What one source is asked by one fan-out: target, body, and what the source itself wants filled
 * in. Compiled with the fan-out, because its names are those that the fan-out sees.
 */
#include "pipeline/stages/activation.h"

struct compiler;
struct option_map;
struct option_value;
struct source;

struct question_text {
	const struct template *template;
	enum template_use use;
};

struct question {
	struct source *source; /* NULL: not known */
	struct text target;
	struct template_map body;
	bool has_body;		     /* else what `each` binds, or the whole body */
	bool own_body;		     /* it is the source's; else all are sent the same */
	struct text each_name;	     /* absent: there is no `each` */
	struct question_text *texts; /* as many as the source has templates */
};

/*
 * For the source that `to` names, which may be unknown; options are the fan-out's, whose `target`
 * and `body` are the source's where they are not given.
 */
void question_compile(struct compiler *compiler, struct question *question,
		const struct option_value *to, struct text each_name,
		const struct option_map *options);

/* What is made of it for one ask, in the run's arena. */
struct filled {
	struct text body; /* absent: the source takes none */
	const struct text *texts;
};

/* body: what all are sent alike that see the same names; absent: nobody has made it yet. False:
 * *ret_outcome is why it can't be. */
bool question_fill(const struct question *question, struct names *names, struct text *body,
		struct filled *ret, struct outcome *ret_outcome);
