/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group holds whose answer goes in parts: memory of its own, which goes when its parts have
 * been read and its work has ended; and room among what is not read, which it is given for all
 * that it may say when it is begun, so that a push never finds the queue full.
 */
#include "pipeline/stages/fanout_parts.h"

#include <assert.h>

struct fanout_part {
	struct part part;
	struct portion *portion;
};

/* The last of it has ended. */
static void on_idle(struct scope *scope)
{
	struct arena arena = container_of(scope, struct portion, scope)->arena;
	arena_deinit(&arena);
}

static void give_back(struct portion *portion)
{
	if (portion->closed && portion->unread == 0)
		scope_close(&portion->scope);
}

static void on_read(struct stream_queue *queue, void *element)
{
	struct part *part = element;
	struct portion *portion = container_of(part, struct fanout_part, part)->portion;
	portion->unread--;
	give_back(portion);
}

void fanout_portions_begin(struct fanout_parts *parts)
{
	parts->queue->release = on_read;
}

static struct portion *portion_new(struct fanout_frame *self, struct group *group)
{
	struct arena arena;
	arena_init(&arena, self->base.run->arena->account);
	uint32_t count = container_of(self->base.stage, struct fanout, stage)->source_count;
	struct portion *portion = arena_zalloc(&arena, sizeof(*portion) + count * sizeof(bool));
	if (!portion) {
		self->base.frame.outcome = run_out_of_memory();
		return NULL;
	}
	portion->arena = arena;
	if (fanout_lay_branches(self, group, &portion->arena))
		return portion;
	arena = portion->arena;
	arena_deinit(&arena);
	return NULL;
}

bool fanout_portion_open(struct fanout_frame *self, struct group *group)
{
	struct fanout_parts *parts = self->parts;
	struct portion *portion = portion_new(self, group);
	if (!portion)
		return false;
	portion->owed = parts->each_max;
	parts->owed += portion->owed;
	scope_init_root(&portion->scope, self->base.run->async, self->base.frame.scope, NULL,
			SCOPE_FOREVER, on_idle);
	group->gather.scope = &portion->scope;
	group->portion = portion;
	return true;
}

void fanout_portion_end(struct fanout_frame *self, struct group *group)
{
	struct portion *portion = group->portion;
	self->parts->owed -= portion->owed;
	portion->closed = true;
	group->portion = NULL;
	give_back(portion);
}

void fanout_portions_end(struct fanout_frame *self)
{
	for (uint32_t i = 0; i < self->parts->begun; i++) {
		struct group *group = &self->groups[i];
		if (!group->portion)
			continue;
		if (!group->closed)
			fanout_close_group(self, group);
		fanout_portion_end(self, group);
	}
}

bool fanout_portion_push(struct fanout_frame *self, struct portion *portion, struct part part)
{
	struct fanout_part *made = arena_alloc(&portion->arena, sizeof(*made));
	if (!made || !part.head.data || !part.value.data || !part.tail.data) {
		self->base.frame.outcome = run_out_of_memory();
		return false;
	}
	*made = (struct fanout_part){part, portion};
	assert(portion->owed > 0);
	portion->owed--;
	self->parts->owed--;
	enum pushed pushed = stream_queue_push(self->parts->queue, &made->part);
	assert(pushed != QUEUE_FULL);
	portion->unread += pushed == QUEUE_TAKEN;
	if (pushed == QUEUE_CLOSED)
		self->base.frame.outcome = outcome_status(STATUS_CANCELLED);
	return pushed == QUEUE_TAKEN;
}
