/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libzmq bounds the messages that it holds by their number, and tells of none when it is sent. So
 * what is larger than a few lines lies in a block of ours, which libzmq gives back when it has
 * written it, or drops it with its connection. It does so in its own thread, maybe after the source
 * is closed and gone: the counter lives until its last block has come back.
 */
#include "pipeline/drivers/zmq_sent.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "pipeline/loop/handed.h"

/* So many bytes of each message may lie in libzmq besides what is counted. */
#define SMALL_MAX 256

struct zmq_sent {
	atomic_size_t bytes;
	atomic_size_t holders; /* the source, and each block */
};

struct sent_block {
	struct zmq_sent *sent;
	size_t size;
	char data[];
};

struct zmq_sent *zmq_sent_new(void)
{
	struct zmq_sent *sent = calloc(1, sizeof(*sent));
	if (sent)
		atomic_init(&sent->holders, 1);
	return sent;
}

struct zmq_sent *zmq_sent_free(struct zmq_sent *sent)
{
	if (sent && atomic_fetch_sub(&sent->holders, 1) == 1)
		free(sent);
	return NULL;
}

size_t zmq_sent_bytes(const struct zmq_sent *sent)
{
	return atomic_load(&sent->bytes);
}

/* In libzmq's thread, or on the loop where a message is closed unsent. */
static void give_back(void *data, void *hint)
{
	struct sent_block *block = hint;
	handed_back(block);
	atomic_fetch_sub(&block->sent->bytes, block->size);
	(void)zmq_sent_free(block->sent);
	free(block);
}

char *zmq_sent_init(struct zmq_sent *sent, zmq_msg_t *message, size_t size)
{
	if (size <= SMALL_MAX)
		return zmq_msg_init_size(message, size) == 0 ? zmq_msg_data(message) : NULL;
	struct sent_block *block = malloc(sizeof(*block) + size);
	if (!block || zmq_msg_init_data(message, block->data, size, give_back, block) != 0) {
		free(block);
		return NULL;
	}
	block->sent = sent;
	block->size = size;
	atomic_fetch_add(&sent->bytes, size);
	atomic_fetch_add(&sent->holders, 1);
	return block->data;
}

void zmq_sent_written(char *data, size_t size)
{
	if (size > SMALL_MAX)
		handed_over(data - offsetof(struct sent_block, data));
}
