/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A body is what the fan-out says, else what the source says, else what `each` binds, else the
 * whole body. Other templates are the source's alone. What is wrong with one of those stands at its
 * own line, and may be wrong for one fan-out and right for the next; so the line of the fan-out is
 * told of too.
 */
#include "pipeline/stages/question.h"

#include "pipeline/base/arena.h"
#include "pipeline/base/buffer.h"
#include "pipeline/resources/source.h"
#include "pipeline/stages/compiler.h"

static void out_of_memory(struct compiler *compiler, const struct option_value *to)
{
	diag_error(compiler->diag, to->place, "out of memory");
}

static void compile_texts(
		struct compiler *compiler, struct question *question, const struct option_value *to)
{
	const struct source *source = question->source;
	question->texts = arena_alloc(
			compiler->arena, source->template_count * sizeof(*question->texts));
	if (!question->texts) {
		out_of_memory(compiler, to);
		return;
	}
	for (uint32_t i = 0; i < source->template_count; i++) {
		const struct source_template *template = &source->templates[i];
		question->texts[i] = (struct question_text){
				compile_template(compiler, template->written), template->use};
	}
}

/* In a miss, the whole body is more than the key holds. */
static void check_whole_body(
		struct compiler *compiler, const struct question *question, struct place place)
{
	if (question->has_body || question->each_name.data || question->source->without_body)
		return;
	if (compile_in_miss(compiler))
		diag_error(compiler->diag, place,
				"inside \"miss\", a fan-out needs \"each\" or \"body\": it would "
				"ask \"%s\" with the whole "
				"body, which \"key\" does not hold",
				question->source->name);
}

void question_compile(struct compiler *compiler, struct question *question,
		const struct option_value *to, struct text each_name,
		const struct option_map *options)
{
	const struct option_value *target = option_get(options, "target");
	const struct option_value *body = option_get(options, "body");
	struct source *source = compile_source(compiler, to);
	*question = (struct question){.source = source, .each_name = each_name};
	if (!source)
		return;
	size_t errors = compiler->diag->errors;
	if (!source->without_target)
		question->target = target->given ? target->text : source->target;
	if (!source->without_body) {
		const struct option_map *templates = body->given ? body->map : source->body;
		question->has_body = templates != NULL;
		question->own_body = templates != NULL && !body->given;
		question->body = compile_templates(compiler, templates);
	}
	compile_texts(compiler, question, to);
	if (compiler->diag->errors > errors && !body->given)
		diag_error(compiler->diag, to->place,
				"what source \"%s\" is to be asked, by its own templates, does not "
				"fit here",
				source->name);
	check_whole_body(compiler, question, to->place);
}

/* `{"symbol":"AAPL"}`, of what `each` binds. */
static struct text body_of_each(const struct question *question, const struct names *names)
{
	struct buffer buffer;
	buffer_init_arena(&buffer, names_arena(names));
	buffer_append_char(&buffer, '{');
	buffer_append_json_string(&buffer, question->each_name);
	buffer_append_char(&buffer, ':');
	buffer_append(&buffer, names->each.text);
	buffer_append_char(&buffer, '}');
	return buffer_text(&buffer);
}

static bool make_body(const struct question *question, struct names *names, struct text *ret,
		struct outcome *ret_outcome)
{
	struct value value;
	if (question->has_body) {
		if (!names_object(names, &question->body, &value, ret_outcome))
			return false;
		*ret = value.text;
	} else if (question->each_name.data) {
		*ret = body_of_each(question, names);
		*ret_outcome = run_out_of_memory();
		return ret->data != NULL;
	} else {
		*ret = names->activation->body.text;
	}
	return true;
}

static bool fill_body(const struct question *question, struct names *names, struct text *body,
		struct filled *ret, struct outcome *ret_outcome)
{
	if (question->own_body)
		return make_body(question, names, &ret->body, ret_outcome);
	if (!body->data && !make_body(question, names, body, ret_outcome))
		return false;
	ret->body = *body;
	return true;
}

static bool fill_texts(const struct question *question, struct names *names, struct filled *ret,
		struct outcome *ret_outcome)
{
	uint32_t count = question->source->template_count;
	struct text *texts = arena_alloc(names_arena(names), count * sizeof(*texts));
	if (!texts) {
		*ret_outcome = run_out_of_memory();
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct question_text *text = &question->texts[i];
		if (!names_text(names, text->template, text->use, &texts[i], ret_outcome))
			return false;
	}
	ret->texts = texts;
	return true;
}

bool question_fill(const struct question *question, struct names *names, struct text *body,
		struct filled *ret, struct outcome *ret_outcome)
{
	const struct source *source = question->source;
	*ret = (struct filled){.body = {NULL, 0}};
	if (!source->without_body && !fill_body(question, names, body, ret, ret_outcome))
		return false;
	return source->template_count == 0 || fill_texts(question, names, ret, ret_outcome);
}
