/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For the zmq files only: what was handed to libzmq for a source and lies there still, since the
 * source reads slowly or nothing, in bytes.
 */
#include <stddef.h>
#include <zmq.h>

struct zmq_sent;

/* NULL when memory is out. */
struct zmq_sent *zmq_sent_new(void);

/* Its messages may still be libzmq's. Takes NULL; returns NULL. */
struct zmq_sent *zmq_sent_free(struct zmq_sent *sent);

/* A message of size bytes, to be written where that points. A small one isn't counted; a larger one
 * is from here on until libzmq is done with it, or it is closed. NULL when memory is out. */
char *zmq_sent_init(struct zmq_sent *sent, zmq_msg_t *message, size_t size);

/* To be called when it is written, before it is sent. */
void zmq_sent_written(char *data, size_t size);

size_t zmq_sent_bytes(const struct zmq_sent *sent);
