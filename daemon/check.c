/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `--check`: everything of a start but opening, on an engine that never runs.
 */
#include <stdio.h>

#include "daemon/build.h"
#include "daemon/daemon.h"
#include "pipeline/async/async.h"
#include "pipeline/base/log.h"
#include "pipeline/drivers/driver.h"
#include "pipeline/requests/engine.h"
#include "pipeline/stages/pipeline.h"

struct check {
	struct async async;
	struct build *build;
	struct engine *engine;
	struct driver_context context;
	struct log log;
};

/* Whatever is wrong already: all that is wrong is to be said at once. */
static bool compile(struct check *check, const char *path)
{
	struct engine_ops ops = {0};
	struct build *build = check->build;
	check->engine = engine_new(&check->async, &build->config.limits, &ops, &check->log);
	if (!check->engine) {
		diag_error(&build->diag, (struct place){.file = path}, "out of memory");
		return false;
	}
	check->context = (struct driver_context){
			.account = engine_account(check->engine),
			.log = &check->log,
	};
	return build_compile(build, &check->async, check->engine, &check->context, NULL);
}

int daemon_check_build(struct build *build, const char *path)
{
	struct check check = {.build = build};
	async_init(&check.async, 0, 0);
	bool right = build->config.pipelines && compile(&check, path);
	build_say(build);
	if (right)
		printf("%s is right; pipelines: %zu, resources: %zu\n", path,
				build->generation.pipelines->count, build->resources.count);
	build_drop(build, DRAIN);
	runner_drain(&check.async.runner, SIZE_MAX);
	engine_free(check.engine);
	if (fflush(stdout) != 0) {
		perror("sluiced: cannot say so");
		return 1;
	}
	return right ? 0 : 1;
}

int daemon_check(const char *path)
{
	struct link builds;
	link_init(&builds);
	struct build *build = build_read(path, &builds);
	if (!build) {
		fprintf(stderr, "%s: error: out of memory\n", path);
		return 1;
	}
	return daemon_check_build(build, path);
}
