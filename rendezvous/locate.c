/* SPDX-License-Identifier: MIT */
/*
 * locate.c - where the store is: its URL, and its address by now
 */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <event2/dns.h>
#include <event2/util.h>

#include "common/endpoint.h"
#include "rendezvous/locate.h"

#define REDIS_PORT 6379

struct locator {
	struct evdns_base *dns;
	void (*found)(void *ctx, const char *address, const char *why);	/* NULL: nothing is looked up */
	void *ctx;
};

/* A number and nothing else, in a range. Return: it, or -1 */
static long parse_number(const char *text, long most)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9')
		return -1;
	value = strtol(text, &end, 10);
	return *end || value > most ? -1 : value;
}

int locate_parse(struct store_address *address, const char *url)
{
	static const char scheme[] = "redis://";
	char text[LIMIT_HOST], numeric[ENDPOINT_TEXT_SIZE], *slash, *colon;
	struct endpoint ep;
	long port = REDIS_PORT;

	if (strncmp(url, scheme, sizeof(scheme) - 1) || strlen(url) >= sizeof(text))
		return -EINVAL;
	strcpy(text, url + sizeof(scheme) - 1);
	slash = strchr(text, '/');
	address->database = slash && slash[1] ? (int)parse_number(slash + 1, 65535) : 0;
	if (slash)
		*slash = '\0';
	if (!endpoint_parse(&ep, text, REDIS_PORT)) {
		strcpy(address->host, endpoint_format_address(&ep, numeric));
		port = ep.port;
	} else {
		colon = strrchr(text, ':');
		port = colon ? parse_number(colon + 1, 65535) : REDIS_PORT;
		if (colon)
			*colon = '\0';
		strcpy(address->host, text);
	}
	if (port < 1 || address->database < 0 || !*address->host)
		return -EINVAL;
	address->port = (uint16_t)port;
	return 0;
}

struct locator *locator_new(struct event_base *base)
{
	struct locator *locator = calloc(1, sizeof(*locator));

	if (locator)
		locator->dns = evdns_base_new(base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
					      EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (locator && locator->dns)
		return locator;
	free(locator);
	return NULL;
}

void locator_free(struct locator *locator)
{
	if (!locator)
		return;
	locator->found = NULL;
	evdns_base_free(locator->dns, 0);
	free(locator);
}

static void on_address(int err, struct evutil_addrinfo *first, void *arg)
{
	struct locator *locator = arg;
	void (*found)(void *ctx, const char *address, const char *why) = locator->found;
	char address[INET6_ADDRSTRLEN] = "";

	if (!err && getnameinfo(first->ai_addr, (socklen_t)first->ai_addrlen, address,
				sizeof(address), NULL, 0, NI_NUMERICHOST))
		err = EVUTIL_EAI_FAIL;
	if (first)
		evutil_freeaddrinfo(first);
	locator->found = NULL;
	if (found)
		found(locator->ctx, err ? NULL : address, err ? evutil_gai_strerror(err) : NULL);
}

void locate(struct locator *locator, const struct store_address *address,
	    void (*found)(void *ctx, const char *numeric, const char *why), void *ctx)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

	locator->found = found;
	locator->ctx = ctx;
	evdns_getaddrinfo(locator->dns, address->host, NULL, &hints, on_address, locator);
}
