/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `sluicectl watch`: events of the telemetry feed, as they come.
 */
#include "client/settings.h"

/* signals: a signalfd; what it reads ends the watch. */
enum result watch_run(const struct settings *settings, void *context, int signals);
