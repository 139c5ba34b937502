/* SPDX-License-Identifier: MIT */
/*
 * hint.c - a word about names that are nearly a peer's
 *
 * In quick mode peers end in ".punch", with a file they do not: what is right in one shell is
 * an unknown host in the next, and libc says no more than that.  No such domain exists, and an
 * unqualified name that nobody knows is rarely meant for the DNS, so nothing else is spoken of.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>

#include "common/log.h"
#include "shim/config.h"
#include "shim/env.h"
#include "shim/hint.h"

static const char suffix[] = ".punch";

static bool is_own(const char *name)
{
	struct utsname own;

	return uname(&own) == 0 && strcasecmp(own.nodename, name) == 0;
}

/* "bob.punch", with a file or without anything */
static void tell_suffix(const struct config *config, const char *name, size_t size)
{
	char base[LIMIT_NAME] = "";

	if (size < sizeof(base))
		memcpy(base, name, size);
	if (config && base[0] && config_owns_name(config, base))
		log_warn("%s is a name of quick mode, and PUNCH_SECRET is not set here; by %s its name is %s", name,
			 config_local(config)->path, base);
	else
		log_warn("%s is a name of quick mode, and PUNCH_SECRET is not set here", name);
}

void hint_name(const char *name)
{
	static _Atomic(bool) told;
	const struct config *config;
	size_t size = strlen(name), tail = sizeof(suffix) - 1;
	int errno_kept = errno;
	bool punch = size > tail && strcasecmp(name + size - tail, suffix) == 0;

	if (env_off() || (!punch && strchr(name, '.')) || atomic_load(&told))
		return;
	config = config_get();
	if (punch && !(config && config_is_quick(config)) && !atomic_exchange(&told, true))
		tell_suffix(config, name, size - tail);
	else if (!punch && config && config_is_quick(config) && !is_own(name) && !atomic_exchange(&told, true))
		log_warn("%s: no such host; PUNCH_SECRET is set, and in quick mode peers' names end in .punch: "
			 "is %s.punch meant?", name, name);
	errno = errno_kept;
}
