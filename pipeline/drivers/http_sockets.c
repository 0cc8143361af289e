/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Before a question goes out, libcurl tells the ends of the connection that it has chosen
 * (CURLOPT_PREREQFUNCTION(3)). What can be read there at that moment answers nothing: servers send
 * a 408 to who is silent for long, and broken ones send more than they should. libcurl 7.88 would
 * read it as the answer. Such a connection is shut down on the spot, and then libcurl finds it dead
 * and takes a new one.
 *
 * libcurl says which sockets it opens, but closes those that were never connected by itself
 * (cf_socket_close() in lib/cf-socket.c). So only what a question has gone out on is kept, and of
 * that it tells the end.
 */
#include "pipeline/drivers/http_sockets.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_opening *opening = user;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	opening->opened[opening->count++ % HTTP_SOCKETS_OPENED_MAX] = fd;
	return fd;
}

static int on_close(void *user, curl_socket_t fd)
{
	struct http_sockets *sockets = user;
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->all[i].fd == fd) {
			sockets->all[i] = sockets->all[--sockets->count];
			break;
		}
	}
	return close(fd);
}

/* getsockname(2) or getpeername(2) of fd, as text and port. */
static bool read_end(int (*name)(int, struct sockaddr *, socklen_t *), int fd, char *ret_address,
		int *ret_port)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} end = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t size = sizeof(end);
	if (name(fd, &end.any, &size) < 0)
		return false;
	bool v6 = end.any.sa_family == AF_INET6;
	const void *address = v6 ? (const void *)&end.v6.sin6_addr : &end.v4.sin_addr;
	*ret_port = ntohs(v6 ? end.v6.sin6_port : end.v4.sin_port);
	return inet_ntop(end.any.sa_family, address, ret_address, INET6_ADDRSTRLEN) != NULL;
}

static bool same_ends(const struct http_ends *a, const struct http_ends *b)
{
	return a->own_port == b->own_port && a->server_port == b->server_port &&
	       strcmp(a->server, b->server) == 0 && strcmp(a->own, b->own) == 0;
}

static bool has_ends(int fd, const struct http_ends *ends)
{
	struct http_ends here;
	return read_end(getsockname, fd, here.own, &here.own_port) &&
	       read_end(getpeername, fd, here.server, &here.server_port) && same_ends(&here, ends);
}

static bool add(struct http_sockets *sockets, int fd, const struct http_ends *ends)
{
	if (sockets->count == sockets->room) {
		size_t room = sockets->room ? 2 * sockets->room : 16;
		struct http_socket *all = reallocarray(sockets->all, room, sizeof(*all));
		if (!all)
			return false;
		sockets->all = all;
		sockets->room = room;
	}
	sockets->all[sockets->count++] = (struct http_socket){fd, *ends};
	return true;
}

/* Bytes that are shut down unread would still be there to read. */
static void end_if_spoken(int fd)
{
	char bytes[4096];
	bool spoken = false;
	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		spoken = true;
	if (spoken)
		(void)shutdown(fd, SHUT_RDWR);
}

/* Whether it is a connection that was used before. */
static bool look_at_known(const struct http_sockets *sockets, const struct http_ends *ends)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (same_ends(&sockets->all[i].ends, ends)) {
			end_if_spoken(sockets->all[i].fd);
			return true;
		}
	}
	return false;
}

/* One without a socket of ours is nobody's to look at: that can't be, and would do no harm. */
static bool keep_new(struct http_opening *opening, const struct http_ends *ends)
{
	unsigned oldest = opening->count > HTTP_SOCKETS_OPENED_MAX
					  ? opening->count - HTTP_SOCKETS_OPENED_MAX
					  : 0;
	for (unsigned i = opening->count; i > oldest; i--) {
		int fd = opening->opened[(i - 1) % HTTP_SOCKETS_OPENED_MAX];
		if (has_ends(fd, ends))
			return add(opening->sockets, fd, ends);
	}
	return true;
}

static int on_request(void *user, char *server, char *own, int server_port, int own_port)
{
	struct http_opening *opening = user;
	struct http_ends ends = {.server_port = server_port, .own_port = own_port};
	(void)stpncpy(ends.server, server, sizeof(ends.server) - 1);
	(void)stpncpy(ends.own, own, sizeof(ends.own) - 1);
	if (look_at_known(opening->sockets, &ends) || keep_new(opening, &ends))
		return CURL_PREREQFUNC_OK;
	return CURL_PREREQFUNC_ABORT;
}

void http_sockets_watch(struct http_sockets *sockets, struct http_opening *opening, CURL *easy)
{
	*opening = (struct http_opening){.sockets = sockets};
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	(void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, opening);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	(void)curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, sockets);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
	(void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, opening);
}

void http_sockets_deinit(struct http_sockets *sockets)
{
	assert(sockets->count == 0);
	free(sockets->all);
	sockets->all = NULL;
}
