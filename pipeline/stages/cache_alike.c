/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stages of one cache share its values. Where the keys of two begin alike and what they do on a
 * miss differs, that is hardly meant.
 */
#include "pipeline/stages/cache.h"

/* The text before a key's first value. */
static struct text key_head(const struct cache_stage *stage)
{
	const struct template *key = stage->key;
	return key && key->part_count > 0 && !key->parts[0].path ? key->parts[0].literal : TEXT("");
}

void cache_warn_of_alike_keys(const struct pipelines *pipelines, struct diag *diag)
{
	for (const struct stage *a = pipelines->stages; a; a = a->next) {
		for (const struct stage *b = a->next; b && a->type == &cache_type; b = b->next) {
			if (b->type != &cache_type)
				continue;
			const struct cache_stage *one = container_of(b, struct cache_stage, stage);
			const struct cache_stage *other =
					container_of(a, struct cache_stage, stage);
			if (!one->cache || one->cache != other->cache ||
					!text_equal(key_head(one), key_head(other)) ||
					option_value_equal(one->written_miss, other->written_miss))
				continue;
			diag_warning(diag,
					other->key ? other->key->place : other->written_miss->place,
					"this key begins like that of %.*s in the same cache, but "
					"\"miss\" differs: one would "
					"read what the other stored",
					TEXT_ARG(one->stage.path));
		}
	}
}
