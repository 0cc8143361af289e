/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who is connected: routing ids of the ROUTER, and the descriptors that they come by. A descriptor
 * is no name for a connection, because numbers are used again; routing ids are, and each descriptor
 * has a list of the ids seen on it since it was accepted.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/base/hash.h"
#include "pipeline/base/list.h"
#include "pipeline/base/table.h"
#include "pipeline/base/text.h"

struct client;

#define ROUTING_ID_MAX 255

struct connection {
	struct table_entry entry;
	struct link link; /* among those of its descriptor */
	struct client *client;
	int fd;
	uint8_t id_size;
	unsigned char id[];
};

struct descriptor {
	struct link connections;
	bool open; /* accepted and not disconnected */
	/* A duplicate, to see at the end what was left unread; -1: none. The connection lives until
	 * it is closed, too. */
	int probe;
};

/* Ids that ended lately: what is still read of them is dropped. */
#define ENDED_KEPT 1024

struct connections {
	struct table table;		 /* by routing id */
	struct descriptor **descriptors; /* by number; NULL where none was seen */
	size_t descriptor_count;
	struct hash_key hash_key;
	uint64_t ended[ENDED_KEPT]; /* hashes; a ring */
	size_t ended_at;
};

/* 0 or -ENOMEM. */
int connections_init(struct connections *connections, const struct hash_key *key);

/* No connection may be left. Safe twice. */
void connections_deinit(struct connections *connections);

/* Whether libzmq made this id itself: a counter behind a zero byte. Such an id is never used twice.
 */
bool routing_id_automatic(struct text id);

uint64_t connections_hash(const struct connections *connections, struct text id);
struct connection *connections_find(
		const struct connections *connections, uint64_t hash, struct text id);
bool connections_ended(const struct connections *connections, uint64_t hash);

/* A new connection on fd (-1: not known). NULL when memory is out. */
struct connection *connections_add(
		struct connections *connections, uint64_t hash, struct text id, int fd);

/* Forgets and frees it. */
void connections_remove(struct connections *connections, struct connection *connection);

/* Any one, or NULL: to end them all. */
struct connection *connections_any(const struct connections *connections);

/* The descriptor's entry, made where there is none. NULL when memory is out, or fd is negative. */
struct descriptor *connections_descriptor(struct connections *connections, int fd);
