/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources by their names, as whoever compiles has them.
 */
#include "pipeline/stages/compiler.h"

static void unknown_resource(struct compiler *compiler, const struct option_value *name)
{
	const struct stages_context *context = compiler->context;
	const char *kind = name->option ? name->option->resource : "resource";
	struct nearest nearest;
	nearest_init(&nearest, name->text);
	context->each(context->user, kind, &nearest);
	/* Why it could not be made has been said where it was tried. */
	if (text_equal(nearest.best, name->text))
		return;
	diag_error(compiler->diag, name->place, "there is no %s \"%.*s\"%s", kind,
			TEXT_ARG(name->text), nearest_hint(&nearest, compiler->arena));
}

struct cache *compile_cache(struct compiler *compiler, const struct option_value *name)
{
	struct cache *cache = compiler->context->cache(compiler->context->user, name->text);
	if (!cache)
		unknown_resource(compiler, name);
	return cache;
}

struct database *compile_database(struct compiler *compiler, const struct option_value *name)
{
	struct database *database =
			compiler->context->database(compiler->context->user, name->text);
	if (!database)
		unknown_resource(compiler, name);
	return database;
}

struct source *compile_source(struct compiler *compiler, const struct option_value *name)
{
	struct source *source = compiler->context->source(compiler->context->user, name->text);
	if (!source)
		unknown_resource(compiler, name);
	return source;
}
