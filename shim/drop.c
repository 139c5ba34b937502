/* SPDX-License-Identifier: MIT */
/*
 * drop.c - before a process of root becomes another user's
 *
 * Many a daemon does so before it listens or connects for the first time: memcached,
 * mosquitto, the workers of Apache as a proxy.  After it, the resolver of the new user would be
 * asked, which cannot read root's key.  So root's resolver is asked while this process is
 * root's still; what counts is the token in its answer, which lives through setuid()
 * and fork() (ask.c).
 *
 * When none runs it is started, but only where the new user could not have one: where the key is
 * another's.  Otherwise this may be su(1), and two resolvers with one key would push
 * each other out of the rendezvous.
 */
#include <unistd.h>

#include "shim/ask.h"
#include "shim/config.h"
#include "shim/drop.h"
#include "shim/env.h"
#include "shim/raw.h"

static enum ask_effort effort_for(const struct config *config, uid_t uid)
{
	if (!config_key_is_of_another(config, uid))
		return ASK_RUNNING;
	/* out of sight after chroot() */
	return access(env_resolver(), X_OK) == 0 ? ASK_START : ASK_RUNNING;
}

void drop_to(uid_t uid)
{
	const struct config *config;
	struct local_request request;
	struct local_reply reply;
	struct guard guard;
	int fd;

	if (uid == 0 || uid == (uid_t)-1 || ask_knows() || env_off())
		return;
	config = config_get();
	if (!config || config_problem(config))
		return;
	guard_enter(&guard);
	if (raw_euid() == 0) {
		ask_request(&request, config, LOCAL_NAME);	/* of nobody: any answer has the token */
		ask(&request, -1, effort_for(config, uid), &reply, &fd);
		if (fd >= 0)
			raw_close(fd);
	}
	guard_leave(&guard);
}
