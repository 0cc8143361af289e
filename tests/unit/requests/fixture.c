/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/requests/fixture.h"

struct harness h;

int set_up(void **state)
{
	harness_init(&h);
	return 0;
}

int tear_down(void **state)
{
	return harness_deinit(&h) ? 0 : -1;
}

void load(const char *yaml)
{
	bool loaded = harness_load(&h, yaml);
	if (!loaded)
		fail_msg("%s", world_problems(&h.world));
}

struct peer *connect(void)
{
	struct peer *peer = harness_connect(&h);
	assert_true(peer && peer->client);
	return peer;
}

struct scripted_job *job(size_t n)
{
	(void)world_turn(&h.world);
	struct scripted_job *found = scripted_job(&h.world.catalog, n);
	assert_non_null(found);
	return found;
}

void row(size_t n, const char *json)
{
	scripted_job_end(job(n), STATUS_OK, json);
}

void quote(const struct scripted_source *source, const char *json)
{
	struct scripted_ask *ask = scripted_ask(source, 0);
	assert_non_null(ask);
	scripted_ask_end(ask, STATUS_OK, json);
	(void)world_turn(&h.world);
}

const struct engine_counts *counts(void)
{
	(void)world_turn(&h.world);
	return engine_counts(h.engine);
}
