/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two kinds of resources are waited for until `start_timeout`. Without what is required there is no
 * generation. What stands in place of one that serves would only be missed for a moment: requests
 * go on with the old one until it is there, and do without it where it doesn't come.
 */
#include "daemon/waiting.h"

#include "daemon/state.h"
#include "pipeline/base/diag.h"
#include "systemd/notify.h"

/* What comes sooner is not worth a word. */
#define UNTOLD_NS UINT64_C(100000000)

/* What else a start or a reload may take, beside waiting. */
#define SPARE_US UINT64_C(10000000)

static void tell(struct daemon *daemon, const struct build *build, const struct resource *resource,
		uint64_t waited)
{
	bool told = daemon->waiting_for == resource && daemon->waiting_trouble == resource->trouble;
	if (told || waited < UNTOLD_NS)
		return;
	daemon->waiting_for = resource;
	daemon->waiting_trouble = resource->trouble;
	struct text reason = resource->trouble ? text_of(resource->trouble)
					       : TEXT("it is not there yet");
	log_line(&daemon->log, LOG_LEVEL_NOTICE, "waiting", {"name", text_of(resource->name)},
			{"reason", reason});
	notify_waiting((build->config.start_timeout - waited) / 1000 + SPARE_US,
			"waiting for \"%s\": %.*s", resource->name, TEXT_ARG(reason));
}

static void give_up(const struct resource *missing, struct diag *diag)
{
	const char *trouble = missing->trouble ? missing->trouble : "";
	const char *open = missing->trouble ? " (" : "", *close = missing->trouble ? ")" : "";
	if (missing->behind)
		diag_error(diag, missing->place,
				"\"%s\" goes on, but its new queries could not be prepared%s%s%s: "
				"it "
				"was waited for as long as `start_timeout` says",
				missing->name, open, trouble, close);
	else
		diag_error(diag, missing->place,
				"\"%s\" is required and is not ready%s%s%s: it was waited for as "
				"long "
				"as `start_timeout` says; start it, or say `required: false`",
				missing->name, open, trouble, close);
}

enum waiting waiting_look(struct daemon *daemon, const struct build *build, struct diag *diag)
{
	uint64_t waited = daemon->async.now - daemon->load_began;
	const struct resource *missing = resources_missing(&build->resources);
	const struct resource *coming = missing ? missing : resources_coming(&build->resources);
	if (!coming)
		return WAITING_OVER;
	if (waited < build->config.start_timeout) {
		tell(daemon, build, coming, waited);
		return WAITING_ON;
	}
	if (missing) {
		give_up(missing, diag);
		return WAITING_IN_VAIN;
	}
	log_line(&daemon->log, LOG_LEVEL_WARNING, "not waited for any longer",
			{"name", text_of(coming->name)});
	return WAITING_OVER;
}
