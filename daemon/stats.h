/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What `stats` says: of the engine, of each resource, of the daemon itself. docs/telemetry.md lists
 * the members.
 */
#include <stdint.h>

struct daemon;

/* Publishes `stats` so often, and no longer as before. The loop's highest lag begins anew with
 * each. 0 or -errno. */
int stats_every(struct daemon *daemon, uint64_t period_ns);
