/* SPDX-License-Identifier: MIT */
/*
 * names.c - peers' names and their stand-in slots, as the resolver gave them
 *
 * A list that only grows, at its head, up to a limit: entries never change or
 * move, so readers need nothing.  A slot is that of a peer's own name, for good; which peer an alias means the file
 * says, and may say otherwise when it has been changed: only entries count that it agrees with.
 */
#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/log.h"
#include "common/standin.h"
#include "shim/ask.h"
#include "shim/names.h"
#include "shim/raw.h"

#define NAMES_MOST	1024	/* remembered; others are asked for each time */

/**
 * struct name
 * @peer:	the peer's own name
 * @asked:	the name that the program looked up (an alias, perhaps); empty when it came from a reverse look-up
 */
struct name {
	struct name *next;
	uint32_t slot;
	const char *peer;
	char asked[];
};

static _Atomic(struct name *) names;
static _Atomic(unsigned int) count;

/* @config: by which the name must still be that peer's; NULL: any */
static struct name *find(const struct config *config, const char *asked)
{
	struct name *name;

	for (name = atomic_load(&names); name; name = name->next) {
		if (strcasecmp(name->asked, asked) == 0 && (!config || config_is_peer(config, asked, name->peer)))
			return name;
	}
	return NULL;
}

static const struct name *find_slot(uint32_t slot)
{
	const struct name *name;

	for (name = atomic_load(&names); name; name = name->next) {
		if (name->slot == slot)
			return name;
	}
	return NULL;
}

static void remember(const char *asked, const struct local_reply *reply)
{
	size_t asked_size = strlen(asked) + 1, peer_size = strlen(reply->peer) + 1;
	struct name *name;

	if (peer_size == 1 || atomic_fetch_add(&count, 1) >= NAMES_MOST)
		return;
	name = malloc(sizeof(*name) + asked_size + peer_size);
	if (!name)
		return;
	name->slot = reply->slot;
	memcpy(name->asked, asked, asked_size);
	memcpy(name->asked + asked_size, reply->peer, peer_size);
	name->peer = name->asked + asked_size;
	name->next = atomic_load(&names);
	while (!atomic_compare_exchange_weak(&names, &name->next, name))
		;
}

static int slot_of_reply(const char *name, const struct local_reply *reply, uint32_t *slot)
{
	if (reply->status == LOCAL_OK && reply->slot && reply->slot <= STANDIN_SLOTS - 2) {
		*slot = reply->slot;
		return 0;
	}
	if (reply->status == LOCAL_OK || reply->status == LOCAL_NOT_OURS || !reply->text[0])
		log_error("%s: punch-resolver does not know this name: has punch.conf changed since it "
			  "started? (punchctl stop)", name);
	else
		log_error("%s", reply->text);
	return reply->status == LOCAL_FAILED && reply->error != ENOENT ? EAI_AGAIN : EAI_FAIL;
}

int names_slot(const struct config *config, const char *name, uint32_t *slot)
{
	const struct name *known = find(config, name);
	struct local_request request;
	struct local_reply reply;
	struct guard guard;
	int fd, rc;

	if (config_problem(config)) {
		log_error("%s: %s", name, config_problem(config));
		return EAI_FAIL;
	}
	if (known) {
		*slot = known->slot;
		return 0;
	}
	ask_request(&request, config, LOCAL_NAME);
	if (strlen(name) >= sizeof(request.peer))
		return EAI_NONAME;
	strcpy(request.peer, name);
	guard_enter(&guard);
	rc = ask(&request, -1, ASK_START, &reply, &fd);
	if (fd >= 0)
		raw_close(fd);
	guard_leave(&guard);
	if (rc < 0)
		return EAI_AGAIN;
	rc = slot_of_reply(name, &reply, slot);
	/* or the resolver has not read the file yet: it waits until nothing is under way */
	if (rc == 0 && config_is_peer(config, name, reply.peer))
		remember(name, &reply);
	return rc;
}

bool names_of_slot(const struct config *config, uint32_t slot, char text[LIMIT_HOST])
{
	const struct name *known = find_slot(slot);
	struct local_request request;
	struct local_reply reply;
	struct guard guard;
	int fd, rc;

	if (known) {
		strcpy(text, known->peer);
		return true;
	}
	if (config_problem(config))
		return false;
	ask_request(&request, config, LOCAL_NAME);
	standin_endpoint(&request.target, AF_INET, slot, 0);
	guard_enter(&guard);
	rc = ask(&request, -1, ASK_RUNNING, &reply, &fd);
	if (fd >= 0)
		raw_close(fd);
	guard_leave(&guard);
	if (rc < 0 || reply.status != LOCAL_OK || !reply.peer[0] || reply.slot != slot)
		return false;
	strcpy(text, reply.peer);
	remember("", &reply);
	return true;
}

const char *names_peer(uint32_t slot)
{
	const struct name *known = find_slot(slot);

	return known ? known->peer : NULL;
}

char *names_kept(const char *name)
{
	struct name *known = find(NULL, name);

	return known ? known->asked : NULL;
}

const char *names_label(uint32_t slot)
{
	const char *name = names_peer(slot);

	return name ? name : "a peer";
}
