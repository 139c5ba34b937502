/* SPDX-License-Identifier: MIT */
/*
 * hostent.c - gethostbyname() and its relatives, for peers
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "common/standin.h"
#include "shim/hostent.h"
#include "shim/libc.h"
#include "shim/lookup.h"
#include "shim/names.h"

/* A name, one address, two lists that end with NULL */
struct room {
	char *aliases[1];
	char *addresses[2];
	unsigned char address[16];
	char name[LIMIT_HOST];
};

/* Return: 0, or ERANGE when the caller's buffer is too small */
static int build(struct hostent *entry, char *buffer, size_t size, const char *name, const struct endpoint *ep)
{
	size_t skip = (size_t)(-(uintptr_t)buffer % _Alignof(struct room)), length = strlen(name) + 1;
	struct room *room;
	union {
		char *bytes;
		struct room *room;
	} place = { .bytes = buffer + skip };

	if (size < skip + offsetof(struct room, name) + length)
		return ERANGE;
	room = place.room;
	memcpy(room->address, ep->address, sizeof(room->address));
	memcpy(room->name, name, length);
	room->aliases[0] = NULL;
	room->addresses[0] = (char *)room->address;
	room->addresses[1] = NULL;
	entry->h_name = room->name;
	entry->h_aliases = room->aliases;
	entry->h_addrtype = ep->family;
	entry->h_length = ep->family == AF_INET ? 4 : 16;
	entry->h_addr_list = room->addresses;
	return 0;
}

static int problem_of(int code)
{
	return code == EAI_AGAIN ? TRY_AGAIN : code == EAI_NONAME ? HOST_NOT_FOUND : NO_RECOVERY;
}

int hostent_by_name_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
		      struct hostent **result, int *problem)
{
	const struct config *config = lookup_owner(name);
	int errno_kept = errno, rc;
	struct endpoint ep;
	uint32_t slot;

	if (!config && family)
		return libc_gethostbyname2_r(name, family, entry, buffer, size, result, problem);
	if (!config)
		return libc_gethostbyname_r(name, entry, buffer, size, result, problem);
	*result = NULL;
	rc = names_slot(config, name, &slot);
	errno = errno_kept;
	if (rc == 0 && family && family != AF_INET && family != AF_INET6)
		rc = EAI_NONAME;
	if (rc) {
		*problem = problem_of(rc);
		return 0;
	}
	standin_endpoint(&ep, family == AF_INET6 ? AF_INET6 : AF_INET, slot, 0);
	rc = build(entry, buffer, size, name, &ep);
	if (rc) {
		*problem = NETDB_INTERNAL;
		errno = rc;
		return rc;
	}
	*result = entry;
	return 0;
}

struct hostent *hostent_by_name(const char *name, int family)
{
	static struct hostent entry;	/* as in libc: one for all, the next call overwrites it */
	static struct room room;
	struct hostent *result = NULL;
	int problem = NO_RECOVERY;

	if (!lookup_owner(name))
		return family ? libc_gethostbyname2(name, family) : libc_gethostbyname(name);
	hostent_by_name_r(name, family, &entry, (char *)&room, sizeof(room), &result, &problem);
	if (!result)
		h_errno = problem;
	return result;
}

/* Is this a stand-in address? Return: the configuration, or NULL */
static const struct config *owner_of(const void *address, socklen_t size, int family, struct endpoint *ep)
{
	if (!address || !((family == AF_INET && size == 4) || (family == AF_INET6 && size == 16)))
		return NULL;
	memset(ep, 0, sizeof(*ep));
	ep->family = (uint16_t)family;
	memcpy(ep->address, address, size);
	return standin_slot(ep) ? config_get() : NULL;
}

int hostent_by_address_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem)
{
	const struct config *config;
	int errno_kept = errno, rc;
	char name[LIMIT_HOST];
	struct endpoint ep;
	bool known;

	config = owner_of(address, address_size, family, &ep);
	if (!config)
		return libc_gethostbyaddr_r(address, address_size, family, entry, buffer, size, result, problem);
	*result = NULL;
	known = names_of_slot(config, standin_slot(&ep), name);
	errno = errno_kept;
	if (!known) {
		*problem = HOST_NOT_FOUND;	/* it must not go to DNS */
		return 0;
	}
	rc = build(entry, buffer, size, name, &ep);
	if (rc) {
		*problem = NETDB_INTERNAL;
		errno = rc;
		return rc;
	}
	*result = entry;
	return 0;
}

struct hostent *hostent_by_address(const void *address, socklen_t size, int family)
{
	static struct hostent entry;
	static struct room room;
	struct hostent *result = NULL;
	int problem = NO_RECOVERY;
	struct endpoint ep;

	if (!owner_of(address, size, family, &ep))
		return libc_gethostbyaddr(address, size, family);
	hostent_by_address_r(address, size, family, &entry, (char *)&room, sizeof(room), &result, &problem);
	if (!result)
		h_errno = problem;
	return result;
}
