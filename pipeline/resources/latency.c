/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One window fills while the other, which is full, holds the times before. When both are full the
 * older one is emptied, and fills in its turn.
 */
#include "pipeline/resources/latency.h"

#include <string.h>

static void work_out(struct latency *latency)
{
	static const double shares[] = {
			[P50] = 0.5, [P75] = 0.75, [P90] = 0.9, [P95] = 0.95, [P99] = 0.99};
	const struct histogram *windows = latency->windows;
	histogram_quantiles(windows, shares, QUANTILES, latency->quantiles);
	latency->known = (uint32_t)(windows[0].count + windows[1].count);
	latency->recorded = 0;
}

void latency_record(struct latency *latency, uint64_t ns)
{
	if (latency->windows[latency->current].count == LATENCY_WINDOW) {
		latency->current ^= 1;
		memset(&latency->windows[latency->current], 0, sizeof(latency->windows[0]));
	}
	histogram_record(&latency->windows[latency->current], ns);
	if (++latency->recorded == LATENCY_EVERY)
		work_out(latency);
}
