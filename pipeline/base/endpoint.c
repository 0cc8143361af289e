/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host may hold colons, as IPv6 addresses do; what stands behind the last one is the port.
 */
#include "pipeline/base/endpoint.h"

#include <arpa/inet.h>
#include <string.h>

bool endpoint_skip(struct text *endpoint, struct text prefix)
{
	if (!text_begins_with(*endpoint, prefix))
		return false;
	*endpoint = (struct text){endpoint->data + prefix.size, endpoint->size - prefix.size};
	return true;
}

bool endpoint_split(struct text endpoint, struct text *ret_host, struct text *ret_port)
{
	if (!endpoint_skip(&endpoint, TEXT("tcp://")) || endpoint.size == 0)
		return false;
	const char *colon = memrchr(endpoint.data, ':', endpoint.size);
	const char *end = endpoint.data + endpoint.size;
	if (!colon || colon == endpoint.data || colon + 1 == end)
		return false;
	*ret_host = (struct text){endpoint.data, (size_t)(colon - endpoint.data)};
	*ret_port = (struct text){colon + 1, (size_t)(end - (colon + 1))};
	return true;
}

bool endpoint_is_ipv4(struct text host)
{
	char written[INET_ADDRSTRLEN] = "";
	struct in_addr address;
	if (host.size >= sizeof(written))
		return false;
	memcpy(written, host.data, host.size);
	return inet_pton(AF_INET, written, &address) == 1;
}

bool endpoint_is_port(struct text port)
{
	uint64_t number;
	return text_to_u64(port, &number) && number >= 1 && number <= 65535;
}
