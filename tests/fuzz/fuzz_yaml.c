/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration from its bytes to compiled pipelines, in the world of the simulator. What is
 * refused is refused with messages, each on one line, and nothing is left of either. What has been
 * read with errors is compiled too, as a daemon does to report all of them.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/sim/world.h"

static bool is_one_line(const char *message)
{
	for (; *message; message++) {
		if ((unsigned char)*message < ' ' || *message == 0x7f)
			return false;
	}
	return true;
}

static void check_problems(const struct diag *diag)
{
	for (const struct diag_item *item = diag->first; item; item = item->next) {
		must(item->message[0] && is_one_line(item->message));
		must((item->place.line == 0) == (item->place.column == 0));
	}
}

static bool load(struct world *world, const char *yaml, struct account *account,
		struct arena_pool *arenas)
{
	bool read = world_read(world, yaml);
	must(read == (world->diag.errors == 0));
	must(world_init(world, account, arenas));
	bool known = world->configuration && option_get(world->configuration, "pipelines")->map;
	return known && world_compile(world) && read;
}

static void check(const char *yaml)
{
	struct world world;
	struct account account = {.max = SIZE_MAX};
	struct arena_pool arenas;
	world_init_clock(&world);
	arena_pool_init(&arenas, &account, 16);
	bool loaded = load(&world, yaml, &account, &arenas);
	must(loaded == (world.diag.errors == 0));
	check_problems(&world.diag);
	must(world_deinit(&world));
	arena_pool_deinit(&arenas);
	must(account.used == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *yaml = malloc(size + 1);
	must(yaml != NULL);
	if (size > 0)
		memcpy(yaml, data, size);
	yaml[size] = '\0';
	check(yaml);
	free(yaml);
	return 0;
}
