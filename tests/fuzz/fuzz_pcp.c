/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pcp.c - what a gateway, or whoever answers for it, sends to a request for a port mapping
 *
 * The first byte chooses the family; the rest is laid over the answer that the request wants (XOR), so that nonce and
 * internal port need not be guessed.
 */
#include <errno.h>
#include <string.h>

#include "resolver/pcp.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcp_map map = { .internal = 40000, .lifetime = 7200, .nonce = { 1, 2, 3 } };
	uint8_t answer[PCP_MAX];
	struct endpoint external;
	uint32_t lifetime;
	size_t i, bytes;
	int rc;

	if (size == 0)
		return 0;
	endpoint_parse(&map.client, *data % 2 ? "2001:db8::2" : "192.168.1.2", 0);
	map.suggested = map.client;
	pcp_request(answer, &map);
	answer[1] |= 0x80;	/* a response ... */
	memset(answer + 3, 0, 1);	/* ... of success */
	bytes = size - 1 > PCP_MAP_SIZE ? size - 1 : PCP_MAP_SIZE;
	if (bytes > sizeof(answer))
		bytes = sizeof(answer);
	if (bytes > PCP_MAP_SIZE)
		memset(answer + PCP_MAP_SIZE, 0, bytes - PCP_MAP_SIZE);
	for (i = 0; i < bytes && i + 1 < size; i++)
		answer[i] ^= data[1 + i];
	/* shorter ones, too: the last byte of the input cuts */
	if (data[size - 1] % 4 == 3)
		bytes = data[size - 1] % bytes;
	rc = pcp_announcement(answer, bytes, &lifetime);
	MUST(rc == 0 || rc == -ENOMSG);
	rc = pcp_response(answer, bytes, &map, &external, &lifetime);
	MUST(rc == 0 || rc == -ENOMSG || rc == -EPROTONOSUPPORT || rc == -EACCES || rc == -ENOSPC || rc == -EREMOTEIO);
	if (rc == 0)
		MUST(external.family == map.client.family && external.port != 0);
	return 0;
}
