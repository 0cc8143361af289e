/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of a benchmark: any number of DEALER sockets, each with a window of requests in
 * flight, and a next request for each reply. All replies are checked.
 *
 * One thread serves all sockets, because on a small machine the load runs beside what it measures.
 * An id is a multiple of the window plus the place in it where the request waits, so that a reply's
 * place is found by arithmetic, and a reply that comes twice or for nothing is noticed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zmq.h>

#include "pipeline/base/histogram.h"
#include "pipeline/base/random.h"
#include "tests/bench/hole.h"
#include "tests/bench/keys.h"
#include "tests/bench/settings.h"

#define NS_PER_S UINT64_C(1000000000)

/* A server that says nothing for so long has lost something. */
#define SILENCE_MS 10000

/* Replies read from one socket before the next has its turn. */
#define BATCH 64

struct trip {
	uint64_t id; /* 0: none is in flight here */
	uint64_t sent_ns;
};

struct client {
	void *socket;
	struct trip *trips; /* as many as the window */
	uint64_t asked;
};

struct load {
	struct settings settings;
	struct hole id;	      /* in requests */
	struct hole key;      /* in requests */
	struct hole reply_id; /* in replies */
	struct keys keys;
	void *context;
	struct client *clients;
	zmq_pollitem_t *items;
	clockid_t server_clock;
	uint64_t now_ns;
	uint64_t in_flight;
	bool asking; /* false: replies are only read */
	struct histogram trips_ns;
};

/* The process is the whole measurement: what it holds goes with it. */
__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)fputs("load: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec time;
	if (clock_gettime(clock, &time) != 0)
		fail("cannot read a clock, has the server ended? %s", strerror(errno));
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

static void ask(struct load *load, struct client *client, size_t place)
{
	struct text request = load->settings.request;
	struct trip *trip = &client->trips[place];
	zmq_msg_t message;
	*trip = (struct trip){++client->asked * load->settings.window + place, load->now_ns};
	if (zmq_msg_init_size(&message, request.size) != 0)
		fail("memory is out");
	char *data = zmq_msg_data(&message);
	memcpy(data, request.data, request.size);
	hole_write(data, load->id, trip->id);
	hole_write(data, load->key, keys_next(&load->keys));
	if (zmq_msg_send(&message, client->socket, 0) < 0)
		fail("cannot send: %s", zmq_strerror(errno));
	load->in_flight++;
}

static bool begins_right(struct text message, struct text pattern, struct hole hole)
{
	size_t after = hole.at + hole.width;
	return message.size >= pattern.size && memcmp(message.data, pattern.data, hole.at) == 0 &&
	       memcmp(message.data + after, pattern.data + after, pattern.size - after) == 0;
}

static bool header_ends_right(struct text message, struct text end)
{
	if (end.size == 0)
		return true;
	const char *line_end = memchr(message.data, '\n', message.size);
	size_t size = line_end ? (size_t)(line_end - message.data) : message.size;
	return size >= end.size && memcmp(message.data + size - end.size, end.data, end.size) == 0;
}

/* The trip that a reply ends, or NULL: it is not what was asked for. */
static struct trip *find_trip(struct load *load, struct client *client, struct text reply)
{
	uint64_t id;
	if (!begins_right(reply, load->settings.reply, load->reply_id) ||
			!hole_read(reply.data, load->reply_id, &id) ||
			!header_ends_right(reply, load->settings.header_end))
		return NULL;
	struct trip *trip = &client->trips[id % load->settings.window];
	return id > 0 && trip->id == id ? trip : NULL;
}

static void on_reply(struct load *load, struct client *client, struct text reply)
{
	struct trip *trip = find_trip(load, client, reply);
	if (!trip)
		fail("not a right reply: %.*s", reply.size < 500 ? (int)reply.size : 500,
				reply.data);
	load->now_ns = read_clock(CLOCK_MONOTONIC);
	histogram_record(&load->trips_ns, load->now_ns - trip->sent_ns);
	load->in_flight--;
	trip->id = 0;
	if (load->asking)
		ask(load, client, (size_t)(trip - client->trips));
}

/* Takes the replies that are there, up to a batch. False: there was none. */
static bool serve(struct load *load, struct client *client)
{
	zmq_msg_t message;
	int taken = 0;
	(void)zmq_msg_init(&message);
	while (taken < BATCH && zmq_msg_recv(&message, client->socket, ZMQ_DONTWAIT) >= 0) {
		on_reply(load, client,
				(struct text){zmq_msg_data(&message), zmq_msg_size(&message)});
		taken++;
	}
	(void)zmq_msg_close(&message);
	return taken > 0;
}

/* One round over all clients, which waits if none has anything. */
static void turn(struct load *load)
{
	bool any = false;
	for (uint64_t i = 0; i < load->settings.clients; i++)
		any = serve(load, &load->clients[i]) || any;
	if (any)
		return;
	int ready = zmq_poll(load->items, (int)load->settings.clients, SILENCE_MS);
	if (ready == 0)
		fail("no reply within %d ms, %" PRIu64 " are missing", SILENCE_MS, load->in_flight);
	if (ready < 0 && errno != EINTR)
		fail("cannot poll: %s", zmq_strerror(errno));
}

static void run(struct load *load, double seconds)
{
	load->now_ns = read_clock(CLOCK_MONOTONIC);
	uint64_t until_ns = load->now_ns + (uint64_t)(seconds * (double)NS_PER_S);
	load->trips_ns = (struct histogram){0};
	while (load->now_ns < until_ns && load->trips_ns.count < load->settings.count)
		turn(load);
}

static void print_result(const struct load *load, uint64_t wall_ns, uint64_t cpu_ns)
{
	const struct histogram *trips = &load->trips_ns;
	(void)printf("{\"replies\": %" PRIu64 ", \"rate\": %.1f, \"cpu_us\": %.4f, \"busy\": %.4f, "
		     "\"p50_us\": %.2f, \"p99_us\": %.2f, \"max_us\": %.2f}\n",
			trips->count, (double)trips->count * (double)NS_PER_S / (double)wall_ns,
			trips->count ? (double)cpu_ns / (double)trips->count / 1000 : 0,
			(double)cpu_ns / (double)wall_ns,
			(double)histogram_quantile(trips, 0.5) / 1000,
			(double)histogram_quantile(trips, 0.99) / 1000, (double)trips->max / 1000);
}

static void measure(struct load *load)
{
	uint64_t began_ns = read_clock(CLOCK_MONOTONIC);
	uint64_t cpu_ns = read_clock(load->server_clock);
	run(load, load->settings.seconds);
	cpu_ns = read_clock(load->server_clock) - cpu_ns;
	print_result(load, read_clock(CLOCK_MONOTONIC) - began_ns, cpu_ns);
}

/* The last replies are waited for, so that a server has nothing left over for what comes next. */
static void run_all(struct load *load)
{
	load->asking = true;
	load->now_ns = read_clock(CLOCK_MONOTONIC);
	for (uint64_t i = 0; i < load->settings.clients; i++)
		for (size_t place = 0; place < load->settings.window; place++)
			ask(load, &load->clients[i], place);
	if (load->settings.warm_up > 0)
		run(load, load->settings.warm_up);
	measure(load);
	load->asking = false;
	while (load->in_flight > 0)
		turn(load);
}

static void connect_client(struct load *load, uint64_t i)
{
	const int none = 0;
	struct client *client = &load->clients[i];
	client->trips = calloc(load->settings.window, sizeof(*client->trips));
	client->socket = zmq_socket(load->context, ZMQ_DEALER);
	if (!client->trips || !client->socket)
		fail("no socket: %s", zmq_strerror(errno));
	/* The window is the one bound. */
	(void)zmq_setsockopt(client->socket, ZMQ_SNDHWM, &none, sizeof(none));
	(void)zmq_setsockopt(client->socket, ZMQ_RCVHWM, &none, sizeof(none));
	(void)zmq_setsockopt(client->socket, ZMQ_LINGER, &none, sizeof(none));
	if (zmq_connect(client->socket, load->settings.endpoint) != 0)
		fail("--connect %s: %s", load->settings.endpoint, zmq_strerror(errno));
	load->items[i] = (zmq_pollitem_t){.socket = client->socket, .events = ZMQ_POLLIN};
}

static void prepare(struct load *load)
{
	const struct settings *settings = &load->settings;
	struct random random;
	random_init(&random, settings->seed);
	bool drawn = settings->each ? keys_init_each(&load->keys, (uint32_t)settings->keys, &random)
				    : keys_init_zipf(&load->keys, (uint32_t)settings->keys,
						      settings->zipf, &random);
	load->id = hole_find(settings->request, '@');
	load->key = hole_find(settings->request, '#');
	load->reply_id = hole_find(settings->reply, '@');
	load->context = zmq_ctx_new();
	load->clients = calloc(settings->clients, sizeof(*load->clients));
	load->items = calloc(settings->clients, sizeof(*load->items));
	if (!drawn || !load->context || !load->clients || !load->items)
		fail("memory is out");
	int error = clock_getcpuclockid((pid_t)settings->pid, &load->server_clock);
	if (error != 0)
		fail("--pid %" PRIu64 ": %s", settings->pid, strerror(error));
	for (uint64_t i = 0; i < settings->clients; i++)
		connect_client(load, i);
}

static void finish(struct load *load)
{
	for (uint64_t i = 0; i < load->settings.clients; i++) {
		(void)zmq_close(load->clients[i].socket);
		free(load->clients[i].trips);
	}
	(void)zmq_ctx_term(load->context);
	free(load->clients);
	free(load->items);
	keys_deinit(&load->keys);
}

int main(int argc, char **argv)
{
	struct load load = {0};
	int code = 0;
	if (!settings_read(&load.settings, argc, argv, &code))
		return code;
	prepare(&load);
	run_all(&load);
	finish(&load);
	return 0;
}
