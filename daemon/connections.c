/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of connections by routing id, a table of descriptors by number. Automatic ids are a
 * counter and cost a mix of its bits; ids that clients chose are hashed with a key.
 */
#include "daemon/connections.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTORS_MIN 64

int connections_init(struct connections *connections, const struct hash_key *key)
{
	*connections = (struct connections){.hash_key = *key};
	return table_init(&connections->table);
}

void connections_deinit(struct connections *connections)
{
	for (size_t i = 0; i < connections->descriptor_count; i++) {
		struct descriptor *descriptor = connections->descriptors[i];
		if (descriptor && descriptor->probe >= 0)
			(void)close(descriptor->probe);
		free(descriptor);
	}
	free(connections->descriptors);
	table_deinit(&connections->table);
	*connections = (struct connections){0};
}

bool routing_id_automatic(struct text id)
{
	return id.size == 5 && id.data[0] == '\0';
}

uint64_t connections_hash(const struct connections *connections, struct text id)
{
	if (!routing_id_automatic(id))
		return hash_text(&connections->hash_key, id);
	uint32_t number;
	memcpy(&number, id.data + 1, sizeof(number));
	return hash_u64(number);
}

struct connection *connections_find(
		const struct connections *connections, uint64_t hash, struct text id)
{
	struct table_entry *entry = table_first(&connections->table, hash);
	for (; entry; entry = table_next(entry)) {
		struct connection *connection = container_of(entry, struct connection, entry);
		if (connection->id_size == id.size && memcmp(connection->id, id.data, id.size) == 0)
			return connection;
	}
	return NULL;
}

struct connection *connections_any(const struct connections *connections)
{
	struct table_entry *entry = table_any(&connections->table);
	return entry ? container_of(entry, struct connection, entry) : NULL;
}

bool connections_ended(const struct connections *connections, uint64_t hash)
{
	for (size_t i = 0; i < ENDED_KEPT; i++) {
		if (connections->ended[i] == hash)
			return true;
	}
	return false;
}

struct connection *connections_add(
		struct connections *connections, uint64_t hash, struct text id, int fd)
{
	struct connection *connection = malloc(sizeof(*connection) + id.size);
	if (!connection)
		return NULL;
	*connection = (struct connection){.fd = fd, .id_size = (uint8_t)id.size};
	memcpy(connection->id, id.data, id.size);
	link_init(&connection->link);
	table_add(&connections->table, &connection->entry, hash);
	struct descriptor *descriptor = connections_descriptor(connections, fd);
	if (descriptor)
		list_append(&descriptor->connections, &connection->link);
	return connection;
}

void connections_remove(struct connections *connections, struct connection *connection)
{
	table_remove(&connections->table, &connection->entry);
	link_remove(&connection->link);
	connections->ended[connections->ended_at++ % ENDED_KEPT] = connection->entry.hash;
	free(connection);
}

static bool make_room(struct connections *connections, size_t fd)
{
	size_t old = connections->descriptor_count;
	size_t count = old ? old : DESCRIPTORS_MIN;
	while (count <= fd)
		count *= 2;
	struct descriptor **descriptors =
			realloc(connections->descriptors, count * sizeof(struct descriptor *));
	if (!descriptors)
		return false;
	for (size_t i = old; i < count; i++)
		descriptors[i] = NULL;
	connections->descriptors = descriptors;
	connections->descriptor_count = count;
	return true;
}

/* Open: one that is first heard of by a message was accepted when memory was out. */
static struct descriptor *descriptor_new(void)
{
	struct descriptor *descriptor = malloc(sizeof(*descriptor));
	if (!descriptor)
		return NULL;
	*descriptor = (struct descriptor){.open = true, .probe = -1};
	link_init(&descriptor->connections);
	return descriptor;
}

struct descriptor *connections_descriptor(struct connections *connections, int fd)
{
	if (fd < 0)
		return NULL;
	size_t at = (size_t)fd;
	if (at >= connections->descriptor_count && !make_room(connections, at))
		return NULL;
	if (!connections->descriptors[at])
		connections->descriptors[at] = descriptor_new();
	return connections->descriptors[at];
}
