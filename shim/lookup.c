/* SPDX-License-Identifier: MIT */
/*
 * lookup.c - getaddrinfo() and getnameinfo() for peers
 *
 * The stand-in address goes to libc's own getaddrinfo() as a numeric string:
 * so hints, services and the memory that freeaddrinfo() frees stay libc's, and
 * the codes are only those that getaddrinfo() is known to give.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "common/standin.h"
#include "shim/config.h"
#include "shim/hint.h"
#include "shim/libc.h"
#include "shim/lookup.h"
#include "shim/names.h"
#include "shim/raw.h"

/* a.b.c.d: most numbers are, and asking inet_aton() of those would add half to what libc's own look-up costs */
static bool is_dotted(const char *name)
{
	unsigned int part, digits;

	for (part = 0; part < 4; part++) {
		unsigned int value = 0;

		for (digits = 0; digits < 3 && *name >= '0' && *name <= '9'; digits++)
			value = value * 10 + (unsigned int)(*name++ - '0');
		if (!digits || value > 255 || *name != (part < 3 ? '.' : '\0'))
			return false;
		name++;
	}
	return true;
}

/* Digits, dots, colons, 0x: what inet_aton() or inet_pton() may take.  A peer's name is no such thing */
static bool is_numeric(const char *name)
{
	struct in_addr four;

	return is_dotted(name) || strchr(name, ':') || inet_aton(name, &four);
}

const struct config *lookup_owner(const char *name)
{
	const struct config *config;

	if (!name || !*name || is_numeric(name))
		return NULL;
	config = config_fresh();
	return config && config_owns_name(config, name) ? config : NULL;
}

/*
 * The name as it was asked for, in place of the numeric string.  In glibc the field is
 * allocated by itself.  In musl it is part of the result: a name that does not fit
 * there is the one in our list, which stays as long as the process; of names beyond
 * that list's limit the number is shown.
 */
static void set_canonical(struct addrinfo *first, const char *name)
{
	char *copy;

	if (!first->ai_canonname)
		return;
	if (!libc_is_glibc() && strlen(name) <= strlen(first->ai_canonname)) {
		strcpy(first->ai_canonname, name);
	} else if (!libc_is_glibc()) {
		copy = names_kept(name);
		if (copy)
			first->ai_canonname = copy;
	} else {
		copy = strdup(name);
		if (!copy)
			return;
		free(first->ai_canonname);
		first->ai_canonname = copy;
	}
}

/*
 * ncat looks each host up for SOCK_DGRAM alone and then opens a stream to it
 * (resolve_internal() in its ncat_core.c).  It is known by its file: Debian runs it as "nc"
 * too.  Its datagrams (ncat --udp) are refused like anyone's.
 */
static bool is_ncat(void)
{
	static const char name[] = "/ncat";
	size_t tail = sizeof(name) - 1;
	char path[LIMIT_PATH];
	long size = raw_result(syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof(path)));

	return size >= (long)tail && memcmp(path + size - tail, name, tail) == 0;
}

/* A stand-in means a TCP connection: other kinds find no such name */
static bool wants_stream(const struct addrinfo *hints)
{
	if (!hints)
		return true;
	if (hints->ai_protocol != 0 && hints->ai_protocol != IPPROTO_TCP)
		return false;
	return hints->ai_socktype == 0 || hints->ai_socktype == SOCK_STREAM ||
	       (hints->ai_socktype == SOCK_DGRAM && is_ncat());
}

static int find_peer(const struct config *config, const char *name, const char *service,
		     const struct addrinfo *hints, struct addrinfo **result)
{
	char text[ENDPOINT_TEXT_SIZE];
	struct addrinfo own = { 0 };
	struct endpoint ep;
	uint32_t slot;
	int rc;

	if (!wants_stream(hints))
		return EAI_NONAME;
	rc = names_slot(config, name, &slot);
	if (rc)
		return rc;
	if (hints)
		own = *hints;
	/* an address is there whether or not the host has one of that family on a network */
	own.ai_flags = (own.ai_flags & ~AI_ADDRCONFIG) | AI_NUMERICHOST;
	own.ai_socktype = SOCK_STREAM;
	standin_endpoint(&ep, own.ai_family == AF_INET6 ? AF_INET6 : AF_INET, slot, 0);
	rc = libc_getaddrinfo(endpoint_format_address(&ep, text), service, &own, result);
	if (rc == 0)
		set_canonical(*result, name);
	return rc;
}

int lookup_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		       struct addrinfo **result)
{
	const struct config *config = NULL;
	int errno_kept = errno, rc;

	if (!hints || !(hints->ai_flags & AI_NUMERICHOST))
		config = lookup_owner(name);
	if (!config) {
		rc = libc_getaddrinfo(name, service, hints, result);
		if ((rc == EAI_NONAME || rc == EAI_AGAIN || rc == EAI_FAIL) && raw_plausible(name) &&
		    (!hints || !(hints->ai_flags & AI_NUMERICHOST)))
			hint_name(name);
		return rc;
	}
	rc = find_peer(config, name, service, hints, result);
	if (rc != EAI_SYSTEM)
		errno = errno_kept;
	return rc;
}

/* The configuration, when @item asks for a peer */
static const struct config *owner_of_item(const struct gaicb *item)
{
	if (!item || (item->ar_request && (item->ar_request->ai_flags & AI_NUMERICHOST)))
		return NULL;
	return lookup_owner(item->ar_name);
}

/*
 * Peers are looked up here and now: the resolver answers at once, and libc would ask DNS.  Such an item has ended
 * when libc gets the list, and stands in it as NULL, which libc leaves out.  So whatever the program does
 * with its items (gai_suspend(), gai_cancel(), gai_error()) it finds one that is done, and libc notifies
 * when the others are, too: at once when there are none.
 */
int lookup_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event)
{
	struct gaicb **rest = NULL;
	int errno_kept = errno, i, rc;

	for (i = 0; i < count && (mode == GAI_WAIT || mode == GAI_NOWAIT); i++) {
		const struct config *config = owner_of_item(list[i]);

		if (!config)
			continue;
		if (!rest) {
			rest = malloc((size_t)count * sizeof(struct gaicb *));
			if (!rest)
				return EAI_MEMORY;	/* nothing was started */
			memcpy(rest, list, (size_t)count * sizeof(struct gaicb *));
		}
		list[i]->__return = find_peer(config, list[i]->ar_name, list[i]->ar_service, list[i]->ar_request,
					      &list[i]->ar_result);
		rest[i] = NULL;
	}
	errno = errno_kept;
	rc = libc_getaddrinfo_a(mode, rest ? rest : list, count, event);
	errno_kept = errno;
	free(rest);
	errno = errno_kept;
	return rc;
}

/* ------------------------------------------------------------ getnameinfo() */

int lookup_getnameinfo(const struct sockaddr *address, socklen_t size, char *host, socklen_t host_size,
		       char *service, socklen_t service_size, int flags)
{
	const struct config *config;
	int errno_kept = errno, rc;
	char name[LIMIT_HOST];
	struct endpoint ep;

	if ((flags & NI_NUMERICHOST) || !host || !host_size || !standin_is_sockaddr(address, size) ||
	    !(config = config_get()) || endpoint_from_sockaddr(&ep, address, size) < 0)
		return libc_getnameinfo(address, size, host, host_size, service, service_size, flags);
	if (!names_of_slot(config, standin_slot(&ep), name)) {
		errno = errno_kept;
		if (flags & NI_NAMEREQD)
			return EAI_NONAME;
		/* not even the address goes to DNS */
		return libc_getnameinfo(address, size, host, host_size, service, service_size, flags | NI_NUMERICHOST);
	}
	errno = errno_kept;
	if (strlen(name) >= host_size)
		return EAI_OVERFLOW;
	rc = 0;
	if (service && service_size)
		rc = libc_getnameinfo(address, size, NULL, 0, service, service_size, flags & ~NI_NAMEREQD);
	if (rc == 0)
		strcpy(host, name);
	return rc;
}
