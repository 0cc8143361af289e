/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the witness remembers of each thing that it has seen.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/async/frame.h"
#include "pipeline/wire/status.h"
#include "tests/sim/answer.h"
#include "tests/sim/plan.h"

struct query;

#define NOBODY		UINT32_MAX
#define QUERIES_MAX	256
#define SHORT_WAITS_MAX 256 /* that are remembered */

/* One source of a fan-out. UNASKED -> RUNS -> GOOD or BAD, or it RUNS until it is not wanted. */
enum branch_progress { BRANCH_UNASKED, BRANCH_RUNS, BRANCH_GOOD, BRANCH_BAD };

struct seen_branch {
	enum branch_progress state;
	enum status status;
	struct answer answer;
	bool heard; /* it has answered, if only when that was decided already */
};

/* Of a request for a RACE, until it was decided. */
struct seen_race {
	uint32_t asked;
	uint64_t asked_at;
	bool staggered; /* not all at one time */
	uint64_t limit; /* when those that have not answered are given up, */
	bool timed;	/* by the fan-out's own timeout */
	uint64_t heard; /* in which stretch a source last answered in time, by when that began */
	bool late;	/* that may have been told when it was not in time any more */
	bool known;	/* how it must end, and what it gives, */
	bool expired;	/* and it was at the limit or past it then, */
	bool won;	/* and had enough good answers */
	struct seen_branch branches[GROUPS_MAX][SOURCES];
};

/* UNSEEN -> WAITING, or at once -> TOLD (its end was told, its reply has not left) -> LEFT. */
enum seen_state { UNSEEN, WAITING, TOLD, LEFT };

/* What must become of a request before anything is run for it. */
enum foretold {
	FORETOLD_NOTHING,
	FORETOLD_DRAINING,
	FORETOLD_UNKNOWN,
	FORETOLD_TWIN,
	FORETOLD_LATE
};

/* The parts of a request's answer. */
struct seen_parts {
	uint32_t left;	/* taken, or found that their client is gone; in their order */
	uint32_t told;	/* how many there were, as the request said at its end */
	uint32_t gave;	/* answers, in all of them */
	uint32_t asked; /* questions that go on, */
	uint32_t came;	/* and good answers that came */
	bool held;	/* the next waits in the outbox */
	bool lacking;	/* one has said what is missing, or that it is not all of its answer */
	bool exact;	/* all that came is to be given */
};

/* Of a HEDGE. */
struct seen_hedge {
	uint32_t asked;
	uint32_t next;	    /* the place of the first source that may still be asked */
	uint32_t good;	    /* answers; with enough of them it may wait for its client to read */
	uint32_t failed;    /* in whose place no other was asked yet */
	uint64_t failed_at; /* the latest */
	uint64_t due;	    /* when a hedge may be sent */
	uint32_t both;	    /* how often it was due when one was asked for an error: */
	uint64_t both_in;   /* in that stretch */
	bool met;	    /* it has been looked at since */
};

/* Of all of them, in one generation. */
struct seen_hedging {
	uint64_t requests;
	uint64_t sent;
	uint64_t sure; /* hundredths of a hedge that the budget has at least */
};

#define FAILURES_KEPT 256

struct seen_failures {
	uint64_t count;
	uint64_t at[FAILURES_KEPT]; /* the latest */
};

/* Of a source. */
struct seen_source {
	int state;	    /* of its breaker */
	uint64_t opened_at; /* and not because its trial was cancelled */
	uint64_t opened;
	uint64_t trials; /* since its breaker changed */
	uint64_t good_at;
	uint64_t spared; /* so often at most, since it was last asked */
	struct seen_failures sure;
	struct seen_failures possible; /* those too that may have been cut off from above */
	uint64_t in_time; /* good answers in this stretch, which may be told too late, */
	uint64_t until;	  /* the first of them past this */
};

/* What must be told of a request. */
struct seen_told {
	struct text verdict; /* of its cache: as foretold, or, once it has ended, as it was told */
	uint64_t began;	  /* when its latest job did, of a CACHE its flight's first; 0: none has; */
	uint64_t granted; /* and its permit was given to it not before this */
	bool shared;	  /* others have waited with it */
};

/* What has become of one request of the plan. */
struct seen {
	enum seen_state state;
	enum foretold foretold;
	uint64_t generation; /* in which it was read */
	uint32_t peer;	     /* the connection that it came by */
	uint32_t next_of_id; /* an earlier one with this id, or NOBODY */
	uint32_t place;	     /* among those that wait */
	uint64_t received;
	uint64_t since; /* what has ended before that was there when it came */
	uint64_t read;	/* its turn came not before this, */
	uint64_t turn;	/* and not after this */
	uint64_t deadline;
	uint64_t arrival; /* among all */
	uint64_t told;	  /* its place among all ends */
	uint64_t told_at;
	enum status status;
	uint64_t arrived;    /* when */
	uint32_t attempts;   /* of a RETRY */
	uint64_t failed_at;  /* its latest attempt has failed, so that it may be tried again; 0: not
				so */
	uint64_t left_alone; /* until then, as its source has asked with that failure */
	bool naps; /* it has been seen to wait for that, in a wait that may lead past its deadline
		    */
	struct seen_hedge hedge;
	enum reason reason;
	unsigned excuses; /* for which it may have been refused: see witness_refusal.c */
	struct seen_race race;
	struct seen_told notes;
	bool in_flight;
	bool drained;	       /* it was read in a drain */
	bool held;	       /* its reply waits in the outbox */
	bool first;	       /* it started a flight */
	uint64_t asked_before; /* when the same key was asked for before; 0: never */
	uint64_t let_go; /* of a CACHE: how many values its cache had let go of when it was told */
	bool stale;	 /* the first cache that it met gave a value that is not fresh */
	bool waited;	 /* it has waited */
	bool no_memory;	 /* limits.bytes was used up when it came */
	bool room;	 /* the other limits were not, at its turn */
	struct seen_parts parts;
	bool unsure; /* its turn may have been before a reply of its batch entered flight */
};

struct seen_peer {
	uint64_t unread_since; /* when its outbox last moved, or it read at all */
	uint64_t in_flight;
	uint64_t held;
	uint64_t latest; /* the place among all ends of the latest whose reply it took, refusals
			    aside */
	bool leaving;
};

/* One run of a job or an ask, by the number that its answer bears. Run 0 is unknown. */
struct seen_run {
	uint32_t key;
	uint32_t request; /* or NOBODY: it is a flight's */
	uint64_t generation;
	uint64_t begun;
	uint64_t ended;	 /* 0: not yet */
	uint64_t told;	 /* and all had heard of it then; 0: not yet */
	uint32_t before; /* the one that ended before it, both in this stretch; or 0 */
	bool good;
	bool partial; /* its source said so */
	bool gated;   /* it was started under a condition */
	bool given;   /* in a part */
};

/* What is known of a key in the cache of a CACHE pipeline. */
struct seen_value {
	uint32_t there;	       /* the run whose value was last given out of it, */
	uint64_t there_at;     /* and when for the first time. It is still there: */
	uint64_t there_until;  /* until then, if the cache lets go of none; 0: there may be none */
	uint64_t let_go;       /* how many it had let go of when it was last given */
	uint64_t flown_at;     /* when a flight last began that had its permit at once */
	uint64_t failed_begun; /* when the latest of those began that has failed, */
	uint64_t failed_at;    /* and when it did; 0: none has */
	uint32_t none;	       /* the latest run that found none; or 0 */
	uint64_t asked_at;     /* when it was last asked for, of whatever pipeline */
};

/* A job or an ask that goes on. */
struct seen_work {
	const struct seen_query *query; /* of a job; NULL: it is an ask */
	uint64_t generation;
	uint32_t key;
	uint32_t request; /* or NOBODY: it is a flight's */
	uint64_t since;
};

/* One query: how often it runs. */
struct seen_query {
	const struct query *query;
	uint64_t generation;
	uint32_t concurrency;
	uint32_t queue;
	uint32_t pipeline;   /* whose it is: the number of its shape */
	uint64_t stretch;    /* in which a job last ended, by when it began, */
	uint32_t just_ended; /* and how many did in it */
	uint32_t shape;	     /* the LOOKUP or CACHE that it belongs to; or NOBODY */
	uint32_t running;
	uint32_t live;	 /* of them, not cancelled */
	uint64_t latest; /* arrival of the latest request it was started for */
};

/* Of each request which feeds must tell, in their order in the file. What `some` samples is seen by
 * the row. */
enum watched_feed { FEED_SLOW = 1, FEED_ODD = 2 };

#define FEED_READINGS_MAX 4096

/* Of the latest request. */
struct seen_telling {
	unsigned expected; /* that have not told of it */
	uint64_t us;
	uint64_t generation; /* by whose feeds it is seen; 0: there is none */
	bool unsure;	     /* whether ODD tells of it */
	bool sampled;	     /* SOME may tell of it */
};

/* Of one generation. What is learned goes on to the next. */
struct seen_feeds {
	uint64_t row; /* requests of this row, and those told */
	uint64_t row_told;
	double mean; /* before the latest reading */
	double learned[FEED_READINGS_MAX];
	size_t learned_count;
};

/* How long requests of one shape took, in powers of two of a microsecond. */
struct seen_median {
	uint32_t buckets[65];
	uint32_t count;
	uint64_t highest; /* that the median has ever been, at most */
};

/* What belongs to a generation: nothing of it is seen, or counted, in another. */
struct seen_generation {
	uint64_t in_flight; /* requests, */
	uint64_t waited;    /* and those of them that have waited */
	uint32_t running;   /* jobs, */
	struct seen_query queries[QUERIES_MAX];
	size_t query_count;
	uint32_t waiting_of_key[PLAN_KEYS];
	uint32_t waiting_of_shape[SHAPES_MAX];
	uint32_t live_of_key[PLAN_KEYS];       /* jobs and asks that are not cancelled */
	uint64_t short_waits[SHORT_WAITS_MAX]; /* when one of the LOOKUP's left its queue in time */
	size_t short_wait_count;
	uint64_t retries;   /* of the RETRY, */
	uint64_t successes; /* and what ended well there */
	struct seen_hedging hedging;
	struct seen_feeds feeds;
};
