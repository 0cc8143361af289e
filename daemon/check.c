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
	struct build build;
	struct engine *engine;
	struct driver_context context;
	struct log log;
};

static bool compile(struct check *check, const char *path)
{
	struct engine_ops ops = {0};
	async_init(&check->async, 0, 0);
	check->engine = engine_new(&check->async, &check->build.config.limits, &ops, &check->log);
	if (!check->engine) {
		diag_error(&check->build.diag, (struct place){.file = path}, "out of memory");
		return false;
	}
	check->context = (struct driver_context){
			.account = engine_account(check->engine),
			.limits = &check->build.config.limits.json,
			.log = &check->log,
	};
	return build_compile(&check->build, &check->async, check->engine, &check->context);
}

static void end(struct check *check)
{
	if (check->build.pipelines)
		pipelines_close(check->build.pipelines, DRAIN);
	runner_drain(&check->async.runner, SIZE_MAX);
	build_deinit(&check->build);
	engine_free(check->engine);
}

int daemon_check(const char *path)
{
	struct check check = {0};
	bool right = build_read(&check.build, path) && compile(&check, path);
	build_say(&check.build);
	if (right)
		printf("%s is right; pipelines: %zu, resources: %zu\n", path,
				check.build.pipelines->count, check.build.resources.count);
	end(&check);
	return right ? 0 : 1;
}
