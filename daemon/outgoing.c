/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The free function of a large block runs in libzmq's thread, so all that it does is to post the
 * block; account and memory are the loop's.
 */
#include "daemon/outgoing.h"

#include <stdlib.h>

#include "pipeline/base/arena.h"
#include "pipeline/loop/handed.h"

/* Kept for the next replies: more than one batch of requests needs at a time. */
#define SPARES_MAX 1024

struct outgoing_block {
	struct letter letter;
	struct outgoing *outgoing;
	uint64_t client; /* 0: it has not been sent */
	size_t size;
	char data[];
};

static void on_returned(void *user, struct letter *letter)
{
	struct outgoing_block *block = container_of(letter, struct outgoing_block, letter);
	struct outgoing *outgoing = block->outgoing;
	account_release(outgoing->account, block->size);
	if (block->client)
		engine_returned(outgoing->engine, block->client, block->size);
	free(block);
}

/* In libzmq's thread, or on the loop where a message is closed unsent. */
static void give_back(void *data, void *hint)
{
	struct outgoing_block *block = hint;
	handed_back(block);
	mailbox_post(&block->outgoing->returned, &block->letter);
}

int outgoing_init(struct outgoing *outgoing, struct loop *loop)
{
	*outgoing = (struct outgoing){.account = NULL};
	return mailbox_init(&outgoing->returned, loop, on_returned, outgoing);
}

void outgoing_deinit(struct outgoing *outgoing)
{
	mailbox_deinit(&outgoing->returned);
	while (outgoing->spare) {
		struct outgoing_reply *reply = outgoing->spare;
		outgoing->spare = reply->next;
		free(reply);
	}
}

static bool init_large(struct outgoing *outgoing, struct outgoing_reply *reply, size_t size)
{
	struct outgoing_block *block = malloc(sizeof(*block) + size);
	if (!block)
		return false;
	block->outgoing = outgoing;
	block->client = 0;
	block->size = size;
	if (zmq_msg_init_data(&reply->message, block->data, size, give_back, block) < 0) {
		free(block);
		return false;
	}
	account_charge(outgoing->account, size);
	handed_over(block);
	reply->block = block;
	return true;
}

struct outgoing_reply *outgoing_reserve(struct outgoing *outgoing, size_t size)
{
	struct outgoing_reply *reply = outgoing->spare;
	if (reply) {
		outgoing->spare = reply->next;
		outgoing->spares--;
	} else {
		reply = malloc(sizeof(*reply));
		if (!reply)
			return NULL;
	}
	reply->block = NULL;
	bool made = size < REPLY_LARGE ? zmq_msg_init_size(&reply->message, size) == 0
				       : init_large(outgoing, reply, size);
	if (!made) {
		free(reply);
		return NULL;
	}
	reply->reply = (struct reply){zmq_msg_data(&reply->message), size};
	return reply;
}

void outgoing_sending(struct outgoing_reply *reply, uint64_t client)
{
	if (!reply->block)
		return;
	reply->block->client = client;
	handed_over(reply->block);
}

void outgoing_release(struct outgoing *outgoing, struct outgoing_reply *reply)
{
	(void)zmq_msg_close(&reply->message);
	if (outgoing->spares >= SPARES_MAX) {
		free(reply);
		return;
	}
	reply->next = outgoing->spare;
	outgoing->spare = reply;
	outgoing->spares++;
}
