/* SPDX-License-Identifier: MIT */
/*
 * mapper_natpmp.c - ask a gateway by NAT-PMP (RFC 6886), and find the gateway; libnatpmp lives here
 */
#include <errno.h>
#include <natpmp.h>
#include <poll.h>
#include <string.h>

#include "common/clock.h"
#include "resolver/mapper_internal.h"

#define PATIENCE	(750 * MS)	/* the library's first two requests: 250 and 500 ms */

static int error_of(int code)
{
	switch (code) {
	case NATPMP_ERR_NOGATEWAYSUPPORT:
		return -ECONNREFUSED;
	case NATPMP_ERR_UNSUPPORTEDVERSION:
	case NATPMP_ERR_UNSUPPORTEDOPCODE:
		return -EPROTONOSUPPORT;
	case NATPMP_ERR_NOTAUTHORIZED:
		return -EACCES;
	case NATPMP_TRYAGAIN:
		return -ETIMEDOUT;
	default:
		return code < 0 ? -EREMOTEIO : 0;
	}
}

/* The answer to the request that was sent. Return: 0 or -errno */
static int await(natpmp_t *natpmp, natpmpresp_t *response)
{
	struct pollfd pfd = { .fd = natpmp->s, .events = POLLIN };
	uint64_t until = clock_now() + PATIENCE;
	struct timeval wait;
	int code;

	do {
		if (getnatpmprequesttimeout(natpmp, &wait) < 0)
			return -EREMOTEIO;
		if (wait.tv_sec < 0 || (!wait.tv_sec && wait.tv_usec < 0))
			memset(&wait, 0, sizeof(wait));
		poll(&pfd, 1, wait.tv_sec ? 1000 : (int)(wait.tv_usec / 1000) + 1);
		code = readnatpmpresponseorretry(natpmp, response);
	} while (code == NATPMP_TRYAGAIN && clock_now() < until);
	return error_of(code);
}

int mapper_natpmp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	natpmpresp_t address, mapping;
	struct in_addr to;
	natpmp_t natpmp;
	int err;

	if (gateway->family != AF_INET)
		return -EPROTONOSUPPORT;
	memcpy(&to, gateway->address, sizeof(to));
	if (initnatpmp(&natpmp, 1, to.s_addr) < 0)
		return -ENETUNREACH;
	memset(&address, 0, sizeof(address));
	err = sendpublicaddressrequest(&natpmp) < 0 ? -ENETUNREACH : await(&natpmp, &address);
	if (!err && address.type != NATPMP_RESPTYPE_PUBLICADDRESS)
		err = -EREMOTEIO;
	if (err)
		goto out;
	/* To end a mapping the external port must be 0 (3.4) */
	if (sendnewportmappingrequest(&natpmp, NATPMP_PROTOCOL_TCP, lease->internal,
				      !lifetime ? 0 : lease->external.port ? lease->external.port : lease->internal,
				      lifetime) < 0)
		err = -ENETUNREACH;
	else
		err = await(&natpmp, &mapping);
	if (err || !lifetime)
		goto out;
	if (mapping.type != NATPMP_RESPTYPE_TCPPORTMAPPING ||
	    mapping.pnu.newportmapping.privateport != lease->internal || !mapping.pnu.newportmapping.mappedpublicport) {
		err = -EREMOTEIO;
		goto out;
	}
	memset(&lease->external, 0, sizeof(lease->external));
	lease->external.family = AF_INET;
	memcpy(lease->external.address, &address.pnu.publicaddress.addr, 4);
	lease->external.port = mapping.pnu.newportmapping.mappedpublicport;
	lease->granted = mapping.pnu.newportmapping.lifetime;
	lease->epoch = mapping.epoch;
	lease->told = true;
out:
	closenatpmp(&natpmp);
	return err;
}

int mapper_gateway(struct endpoint *gateway)
{
	natpmp_t natpmp;

	memset(gateway, 0, sizeof(*gateway));
	if (initnatpmp(&natpmp, 0, 0) < 0)
		return -ENETUNREACH;
	gateway->family = AF_INET;
	memcpy(gateway->address, &natpmp.gateway, 4);
	closenatpmp(&natpmp);
	return 0;
}
