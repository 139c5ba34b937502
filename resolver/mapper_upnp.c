/* SPDX-License-Identifier: MIT */
/*
 * mapper_upnp.c - ask a gateway by UPnP's Internet Gateway Device protocol; libminiupnpc lives here
 *
 * Anybody on the network can answer the multicast search, and any device can name any URL as its control
 * point. Only the default gateway's own answers count, and only URLs on it: nobody else could open its
 * ports, and we are not to be sent to other hosts.
 */
#include <errno.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <miniupnpc/upnperrors.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/secret.h"
#include "resolver/mapper_internal.h"

#define SEARCH_MS	1000	/* for answers to the multicast search; UPnP devices wait at most MX = 1 s */
/* a daemon that caches such searches, behind a Unix socket that the sandbox does not give */
#define NO_MINISSDPD	""
#define TRIES		4	/* external ports that may turn out to be taken */
#define PREFIX		8	/* bytes of an IPv6 address that a network's hosts have in common (RFC 4291 2.5.4) */

/* Errors of WANIPConnection:1 AddPortMapping and of UPnP itself */
#define CONFLICT	718	/* the external port is somebody else's */
#define SAME_PORTS	724	/* external and internal port must be the same */
#define PERMANENT_ONLY	725	/* leases are not supported */
#define NO_RESOURCES	728

/* The gateway found, kept for renewals */
static struct {
	bool known;
	struct UPNPUrls urls;
	struct IGDdatas data;
	char own[64];		/* our address, as the gateway must enter it */
} igd;

/* The same for IPv6: another description, from another address of the gateway */
static struct {
	bool known;
	struct UPNPUrls urls;
	struct IGDdatas data;
	char own[64];
} firewall;

/* Is it "http://GATEWAY[:PORT]/..."? */
static bool is_at(const char *url, const struct endpoint *gateway)
{
	char text[ENDPOINT_TEXT_SIZE];
	size_t size;

	endpoint_format_address(gateway, text);
	size = strlen(text);
	if (!url || strncmp(url, "http://", 7) || strncmp(url + 7, text, size))
		return false;
	return url[7 + size] == ':' || url[7 + size] == '/';
}

/* By a gateway that has begun anew, maybe elsewhere on itself: errors of the library's own say
 * that no answer was had */
static int lost(struct UPNPUrls *urls, bool *known)
{
	FreeUPNPUrls(urls);
	*known = false;
	return -ECONNREFUSED;
}

static int try_device(const char *url, const struct endpoint *gateway)
{
	if (!is_at(url, gateway) || UPNP_GetIGDFromUrl(url, &igd.urls, &igd.data, igd.own, sizeof(igd.own)) != 1)
		return -ENODEV;
	if (!strncmp(igd.data.first.servicetype, "urn:schemas-upnp-org:service:WAN", 32) &&
	    is_at(igd.urls.controlURL, gateway)) {
		igd.known = true;
		return 0;
	}
	FreeUPNPUrls(&igd.urls);
	return -ENODEV;
}

static int find(const struct endpoint *gateway)
{
	struct UPNPDev *list, *at;
	int error = 0, err = -ETIMEDOUT;

	if (igd.known)
		return 0;
	list = upnpDiscover(SEARCH_MS, NULL, NO_MINISSDPD, UPNP_LOCAL_PORT_ANY, 0, 2, &error);
	for (at = list; at && err; at = at->pNext)
		err = try_device(at->descURL, gateway);
	freeUPNPDevlist(list);
	return err;
}

/*
 * Is it "http://[ADDRESS][:PORT]/..." with an address of our own network? The gateway's there is not known
 * beforehand: routes name its link-local one, from which a device cannot be told to be asked by our global address.
 */
static bool is_near(const char *url, const struct endpoint *own)
{
	char text[ENDPOINT_TEXT_SIZE];
	struct endpoint ep;
	const char *end;

	if (!url || strncmp(url, "http://[", 8) || !(end = strchr(url, ']')) || (end[1] != ':' && end[1] != '/') ||
	    end - (url + 8) >= (ptrdiff_t)sizeof(text))
		return false;
	memcpy(text, url + 8, (size_t)(end - (url + 8)));
	text[end - (url + 8)] = '\0';
	return !endpoint_parse(&ep, text, 0) && ep.family == AF_INET6 && !memcmp(ep.address, own->address, PREFIX);
}

static int try_firewall(const char *url, const struct endpoint *own)
{
	if (!is_near(url, own) ||
	    UPNP_GetIGDFromUrl(url, &firewall.urls, &firewall.data, firewall.own, sizeof(firewall.own)) != 1)
		return -ENODEV;
	if (is_near(firewall.urls.controlURL_6FC, own) && *firewall.data.IPv6FC.servicetype) {
		firewall.known = true;
		return 0;
	}
	FreeUPNPUrls(&firewall.urls);
	return -ENODEV;
}

static int find_firewall(const struct endpoint *own)
{
	struct UPNPDev *list, *at;
	int error = 0, err = -ETIMEDOUT;

	if (firewall.known)
		return 0;
	list = upnpDiscover(SEARCH_MS, NULL, NO_MINISSDPD, UPNP_LOCAL_PORT_ANY, 1, 2, &error);
	for (at = list; at && err; at = at->pNext)
		err = try_firewall(at->descURL, own);
	freeUPNPDevlist(list);
	return err;
}

static int add(unsigned int external, unsigned int internal, uint32_t lifetime)
{
	char outer[8], inner[8], lease[16];

	snprintf(outer, sizeof(outer), "%u", external);
	snprintf(inner, sizeof(inner), "%u", internal);
	snprintf(lease, sizeof(lease), "%u", lifetime);
	return UPNP_AddPortMapping(igd.urls.controlURL, igd.data.first.servicetype, outer, inner, igd.own, "punch",
				   "TCP", NULL, lease);
}

static int end(const struct lease *lease)
{
	char outer[8];

	snprintf(outer, sizeof(outer), "%u", lease->external.port);
	return UPNP_DeletePortMapping(igd.urls.controlURL, igd.data.first.servicetype, outer, "TCP", NULL) ?
	       -EREMOTEIO : 0;
}

static uint16_t another_port(void)
{
	uint16_t random;

	secret_random(&random, sizeof(random));
	return (uint16_t)(1024 + random % (65536 - 1024));
}

static int refused(int code)
{
	log_debug("mapper: UPnP: %s", strupnperror(code) ? strupnperror(code) : "error");
	return code < 0 ? lost(&igd.urls, &igd.known) : -EREMOTEIO;
}

/* See mapper_upnp(). Return: -ECONNREFUSED when nobody answers where the gateway was found */
static int map(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	char address[16] = "";		/* as much as the library writes */
	uint16_t port = lease->external.port ? lease->external.port : lease->internal;
	struct endpoint external;
	bool same = false;
	unsigned int i;
	int code, err = gateway->family == AF_INET ? find(gateway) : -EPROTONOSUPPORT;

	if (err)
		return err;
	if (!lifetime)
		return end(lease);
	/* First: a gateway whose line is down tells none, and a mapping without it would be left there, of no use */
	code = UPNP_GetExternalIPAddress(igd.urls.controlURL, igd.data.first.servicetype, address);
	if (code)
		return refused(code);
	if (endpoint_parse(&external, address, 0) || external.family != AF_INET)
		return -EREMOTEIO;
	for (i = 0; i < TRIES; i++) {
		code = add(port, lease->internal, lifetime);
		if (code == PERMANENT_ONLY)
			code = add(port, lease->internal, 0);	/* we end it ourselves when we leave */
		if (code != CONFLICT && code != SAME_PORTS && code != NO_RESOURCES)
			break;
		same = same || code == SAME_PORTS;
		if (same && port == lease->internal)
			break;
		port = same ? lease->internal : another_port();
	}
	if (code)
		return refused(code);
	lease->external = external;
	lease->external.port = port;
	lease->granted = lifetime;
	return 0;
}

int mapper_upnp(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	bool known = igd.known;
	int err = map(gateway, lease, lifetime);

	/* Found long ago: it may be somewhere else by now */
	return err == -ECONNREFUSED && known ? map(gateway, lease, lifetime) : err;
}

/* As map() */
static int open_pinhole(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	int code, err = gateway->family == AF_INET6 ? find_firewall(&lease->own) : -EPROTONOSUPPORT;
	const char *service = firewall.data.IPv6FC.servicetype;
	char port[8], life[16];

	if (err)
		return err;
	if (!lifetime)
		return UPNP_DeletePinhole(firewall.urls.controlURL_6FC, service, lease->pinhole) ? -EREMOTEIO : 0;
	snprintf(port, sizeof(port), "%u", lease->internal);
	snprintf(life, sizeof(life), "%u", lifetime);
	/* One that is there already has its life extended (WANIPv6FirewallControl:1 2.4.3); 6
	 * is TCP, "empty" any host */
	code = UPNP_AddPinhole(firewall.urls.controlURL_6FC, service, "empty", "0", firewall.own, port, "6", life,
			       lease->pinhole);
	if (code) {
		log_debug("mapper: UPnP pinhole: %s", strupnperror(code) ? strupnperror(code) : "error");
		return code < 0 ? lost(&firewall.urls, &firewall.known) : -EREMOTEIO;
	}
	if (endpoint_parse(&lease->external, firewall.own, lease->internal) || lease->external.family != AF_INET6) {
		memset(&lease->external, 0, sizeof(lease->external));
		return -EREMOTEIO;
	}
	lease->granted = lifetime;
	return 0;
}

int mapper_upnp_pinhole(const struct endpoint *gateway, struct lease *lease, uint32_t lifetime)
{
	bool known = firewall.known;
	int err = open_pinhole(gateway, lease, lifetime);

	return err == -ECONNREFUSED && known ? open_pinhole(gateway, lease, lifetime) : err;
}
