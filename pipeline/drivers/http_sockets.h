/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The connections of a source, so that one on which something has come that nobody asked for is not
 * used again: it would be taken for the next answer, and each after it for the one before.
 */
#include <curl/curl.h>
#include <netinet/in.h>

/* Both ends of a connection, which no other has at the time. One of them is not enough: two
 * connections to different addresses may have one and the same port here. */
struct http_ends {
	char server[INET6_ADDRSTRLEN]; /* as inet_ntop() writes it */
	char own[INET6_ADDRSTRLEN];
	int server_port;
	int own_port;
};

/* A connection over which a question has gone out. */
struct http_socket {
	int fd;
	struct http_ends ends;
};

struct http_sockets {
	struct http_socket *all;
	size_t count;
	size_t room;
};

/* Sockets that one transfer has opened, of which at most one becomes its connection. */
#define HTTP_SOCKETS_OPENED_MAX 8

struct http_opening {
	struct http_sockets *sockets;
	int opened[HTTP_SOCKETS_OPENED_MAX]; /* the latest */
	unsigned count;			     /* of all */
};

/* Before each transfer of this handle: has its connection looked at, and kept in sockets. opening
 * stays until the transfer is over, sockets until all connections are closed. */
void http_sockets_watch(struct http_sockets *sockets, struct http_opening *opening, CURL *easy);

/* When all connections are closed. Safe on a zeroed one. */
void http_sockets_deinit(struct http_sockets *sockets);
