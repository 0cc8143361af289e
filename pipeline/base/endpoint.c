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

static bool is_address(int family, struct text text)
{
	char written[INET6_ADDRSTRLEN] = "";
	struct in6_addr address; /* the larger of both */
	if (text.size >= sizeof(written))
		return false;
	memcpy(written, text.data, text.size);
	return inet_pton(family, written, &address) == 1;
}

bool endpoint_is_ipv4(struct text host)
{
	return is_address(AF_INET, host);
}

bool endpoint_is_ipv6(struct text host)
{
	return host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']' &&
	       is_address(AF_INET6, (struct text){host.data + 1, host.size - 2});
}

bool endpoint_is_port(struct text port)
{
	uint64_t number;
	return text_to_u64(port, &number) && number >= 1 && number <= 65535;
}
