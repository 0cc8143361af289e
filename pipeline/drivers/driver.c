/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of drivers. A new one is a line here and a file of its own.
 */
#include "pipeline/drivers/driver.h"

#include <string.h>

static const struct driver *const drivers[] = {
		&sqlite_driver,
		&memory_driver,
		&zmq_driver,
#ifdef SLUICE_HTTP
		&http_driver,
#endif
};

const struct driver *driver_find(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	}
	return NULL;
}
