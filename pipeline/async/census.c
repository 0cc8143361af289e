/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counts behind census_add().
 */
#include "pipeline/async/census.h"

#ifdef SLUICE_COUNTED
_Thread_local unsigned long census_counts[CENSUS_EVENTS][CENSUS_REASONS];
#endif
