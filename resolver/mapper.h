/* SPDX-License-Identifier: MIT */
/*
 * mapper.h - the process that asks the gateway for port mappings, and what it reports
 */
#ifndef PUNCH_MAPPER_H
#define PUNCH_MAPPER_H

#include <stdint.h>

#include "common/endpoint.h"
#include "resolver/process.h"

#define MAPPER_LINK_FD	PROCESS_FD	/* where its end of the link lies over exec; hidden option --mapper */
#define MAPPER_PORTS	2	/* most ports that are mapped */

enum mapper_protocol {
	MAPPER_NONE,		/* no gateway, or none that speaks any of these */
	MAPPER_PCP,		/* RFC 6887 */
	MAPPER_NATPMP,		/* RFC 6886 */
	MAPPER_UPNP,		/* UPnP Internet Gateway Device; for IPv6 its WANIPv6FirewallControl */
	MAPPER_PROTOCOL_COUNT
};

/**
 * struct mapper_report - one packet on the link, from the mapper; both ends come from one build
 * @protocol:	enum mapper_protocol; MAPPER_NONE: nothing can be had, and the mapper leaves
 * @internal:	own port that this is about
 * @external:	where the gateway says that it is reached; family 0: not any more
 * @lifetime:	s, as given by the gateway
 */
struct mapper_report {
	uint32_t protocol;
	uint16_t internal;
	struct endpoint external;
	uint32_t lifetime;
};

/**
 * mapper_main() - be the mapper, after exec
 * @argument:	of --mapper: protocols' bits (1 << enum mapper_protocol) and ports, numbers; a comma before each
 *		port that is to be mapped, or a semicolon before one that is to have a pinhole: it is of one family
 * Return: status for exit()
 */
int mapper_main(const char *argument);

#endif
