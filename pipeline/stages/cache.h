/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The stage `cache`: reads a cache; on a miss it runs `miss` once, as a flight, for all who ask at
 * that moment, and stores what it gave.
 */
#include "pipeline/stages/stage.h"

struct diag;
struct pipelines;

extern const struct option cache_options[];
extern const struct stage_type cache_type;

/* Warns of stages that share a cache and whose keys begin alike, for one would read what the other
 * stored. */
void cache_warn_of_alike_keys(const struct pipelines *pipelines, struct diag *diag);
