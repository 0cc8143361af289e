/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All that a seed decides before anything runs: the configuration, what clients do and when, and
 * how each resource behaves. How one job or ask ends follows from the seed and its number alone, so
 * a plan with some of its requests left out is still a plan.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/wire/status.h"
#include "tests/sim/configuration.h"

#define PLAN_CLIENTS   6
#define PLAN_RESOURCES 6 /* two databases, then four sources */
#define PLAN_KEYS      512
#define NO_BUDGET      UINT32_MAX
#define PLAN_RELOADS   7

enum act_kind {
	ACT_SEND,
	ACT_CANCEL,
	ACT_LEAVE,  /* it disconnects; its next message comes by a new connection */
	ACT_VANISH, /* its replies find that it is gone; the engine hears of it later */
	ACT_STOP,   /* it reads no more */
	ACT_READ,   /* it reads a few */
	ACT_RESUME, /* it reads everything again */
	ACT_FLUSH,  /* outboxes are tried */
	ACT_GARBAGE,
	ACT_PING,
	ACT_PURGE,
	ACT_DRAIN,
	ACT_CUT,
	ACT_RELOAD, /* of the same configuration */
};

struct act {
	uint64_t at; /* from the start, in nanoseconds */
	enum act_kind kind;
	uint32_t client;
	uint32_t number; /* of the request to SEND or CANCEL; of replies to READ */
	bool left_out;	 /* by whoever looks for the least that still fails */
};

/* One request. Its number is its place. */
struct planned {
	uint32_t client;
	uint32_t id;	   /* mostly its own number */
	uint32_t envelope; /* 0: none */
	uint32_t shape;	   /* shape_count: no such pipeline */
	uint32_t key;
	uint32_t budget_ms;
	bool stream; /* the answer is wanted in parts */
	bool fresh;
	uint32_t padding; /* bytes that its body has beside what is asked for */
};

struct behaviour {
	uint64_t latency;
	uint64_t jitter;
	uint32_t slow; /* each per thousand */
	uint32_t failing;
	uint32_t hanging;
	uint32_t missing;
	uint32_t garbled;
	uint32_t odd;
	uint32_t partial;
	uint32_t busy;
	uint32_t large;
	uint32_t twice;
};

struct plan {
	uint64_t seed;
	struct configuration configuration;
	struct behaviour behaviours[PLAN_RESOURCES];
	struct planned *requests;
	size_t request_count;
	struct act *acts; /* in the order of time */
	size_t act_count;
	size_t act_capacity;
	uint32_t keys;
	uint32_t batching;     /* per thousand acts: taken together with the next, as a door does */
	uint32_t lagging;      /* per thousand turns: late */
	size_t tasks_per_turn; /* 0: as many as the daemon does */
	bool answers;	       /* no resource hangs */
};

/* How a job or an ask ends. */
struct ending {
	uint64_t after;
	enum status status;
	bool garbled;	   /* its answer is no JSON */
	bool odd;	   /* a source's answer lacks its run */
	bool partial;	   /* a source says so of its answer */
	uint64_t retry_ns; /* a source asks to be left alone that long */
	bool large;
	bool twice; /* once more a little later */
	bool never;
};

/* False when memory is out. */
bool plan_init(struct plan *plan, uint64_t seed, size_t requests);
void plan_deinit(struct plan *plan);

/* What becomes of the number-th job or ask of a resource. */
struct ending plan_ending(const struct plan *plan, uint32_t resource, uint64_t number);
