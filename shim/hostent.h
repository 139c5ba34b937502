/* SPDX-License-Identifier: MIT */
/*
 * hostent.h - the older look-ups, for peers
 */
#ifndef PUNCH_SHIM_HOSTENT_H
#define PUNCH_SHIM_HOSTENT_H

#include <netdb.h>

/** hostent_by_name() - as gethostbyname2(); @family 0: as gethostbyname() */
struct hostent *hostent_by_name(const char *name, int family);

/** hostent_by_name_r() - as gethostbyname2_r(); @family 0: as gethostbyname_r() */
int hostent_by_name_r(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
		      struct hostent **result, int *problem);

/** hostent_by_address() - as gethostbyaddr() */
struct hostent *hostent_by_address(const void *address, socklen_t size, int family);

/** hostent_by_address_r() - as gethostbyaddr_r() */
int hostent_by_address_r(const void *address, socklen_t address_size, int family, struct hostent *entry,
			 char *buffer, size_t size, struct hostent **result, int *problem);

#endif
