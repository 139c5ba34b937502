/* SPDX-License-Identifier: MIT */
/*
 * ask.c - one question to the resolver
 *
 * A name in the abstract namespace is only a place to look: anyone may sit
 * there.  So the user of the socket is checked before a byte is said, and the request
 * carries the secret of quick mode only to a process of the right user.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

#include "common/log.h"
#include "common/owner.h"
#include "shim/ask.h"
#include "shim/env.h"
#include "shim/raw.h"
#include "shim/start.h"

/*
 * Whose resolver answered first, and its token.  It lives through fork() and
 * setuid(), and is gone after exec().  Written once: the first to set
 * "known" writes, readers wait for 2.
 */
static struct {
	_Atomic(int) known;
	uid_t uid;
	uint8_t token[LOCAL_TOKEN];
} memory;

void ask_request(struct local_request *request, const struct config *config, enum local_kind kind)
{
	memset(request, 0, sizeof(*request));
	request->magic = LOCAL_MAGIC;
	request->kind = kind;
	request->config = *config_local(config);
	request->timeout_ms = env_timeout_ms();
	request->route = env_route();
}

static void remember(uid_t uid, const struct local_reply *reply)
{
	static const uint8_t nothing[LOCAL_TOKEN];
	int before = 0;

	if (memcmp(reply->token, nothing, sizeof(nothing)) == 0)
		return;
	if (!atomic_compare_exchange_strong(&memory.known, &before, 1))
		return;
	memory.uid = uid;
	memcpy(memory.token, reply->token, sizeof(memory.token));
	atomic_store(&memory.known, 2);
}

bool ask_knows(void)
{
	return atomic_load(&memory.known) == 2;
}

static bool is_user(int fd, uid_t uid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return raw_getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == uid;
}

/* Return: a socket connected to @uid's process on place @n, or -errno */
static int reach(const char *tag, uid_t uid, unsigned int n)
{
	const struct timeval limit = { .tv_sec = ASK_TIMEOUT_MS / 1000 };
	struct sockaddr_un sun;
	int size, fd, rc;
	uid_t owner;

	size = local_address_of(&sun, uid, tag, n);
	if (size < 0)
		return size;
	fd = raw_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	rc = raw_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (rc == 0)
		rc = raw_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (rc == 0)
		rc = raw_connect(fd, &sun, (socklen_t)size);
	raw_fcntl(fd, F_SETFL, 0);
	if (rc == -EAGAIN)	/* anybody can fill a queue: only our own user's is worth waiting for */
		rc = owner_of(&sun, (size_t)size, &owner) == 0 && owner == uid ?
		     raw_connect(fd, &sun, (socklen_t)size) : -EPERM;
	if (rc == 0 && !is_user(fd, uid))
		rc = -EPERM;
	if (rc == 0)
		return fd;
	raw_close(fd);
	return rc == -EAGAIN ? -ETIMEDOUT : rc;	/* a full queue for the whole limit */
}

/* One exchange. Return: 0, -ETIMEDOUT, or another -errno when the place is as good as empty */
static int exchange(int socket, const struct local_request *request, int pass, struct local_reply *reply, int *fd)
{
	ssize_t n;
	int rc;

	rc = local_send(socket, request, sizeof(*request), pass);
	if (rc < 0)
		return rc == -EAGAIN ? -ETIMEDOUT : rc;
	n = local_recv(socket, reply, sizeof(*reply), fd);
	if (n == -EAGAIN)
		return -ETIMEDOUT;
	if (n < 0)
		return (int)n;
	if (n != (ssize_t)sizeof(*reply) || reply->magic != LOCAL_MAGIC) {
		if (*fd >= 0)
			raw_close(*fd);
		*fd = -1;
		return n ? -EPROTO : -ECONNRESET;
	}
	reply->text[sizeof(reply->text) - 1] = '\0';
	reply->peer[sizeof(reply->peer) - 1] = '\0';
	return 0;
}

/* These end the search: looking at other places would not help */
static bool is_final(int rc)
{
	return rc == 0 || rc == -ETIMEDOUT || rc == -EMFILE || rc == -ENFILE || rc == -EAFNOSUPPORT;
}

static int ask_user(uid_t uid, const struct local_request *request, int pass, struct local_reply *reply, int *fd)
{
	const char *tag = config_tag(config_get());
	int result = -ENOTCONN;
	unsigned int n;

	for (n = 0; n < LOCAL_NAMES; n++) {
		int socket = reach(tag, uid, n), rc = socket;

		if (socket >= 0) {
			rc = exchange(socket, request, pass, reply, fd);
			raw_close(socket);
			if (rc == -ECONNRESET || rc == -EPIPE)
				result = -ECONNRESET;
		}
		if (rc == 0 && reply->status == LOCAL_OTHER_CONFIG)
			continue;
		if (rc == 0)
			remember(uid, reply);
		if (is_final(rc))
			return rc;
	}
	return result;
}

static int ask_anyone(struct local_request *request, int pass, struct local_reply *reply, int *fd)
{
	uid_t euid = raw_euid();
	int rc;

	*fd = -1;
	if (ask_knows()) {
		memcpy(request->token, memory.token, sizeof(request->token));
		rc = ask_user(memory.uid, request, pass, reply, fd);
		if (rc != -ENOTCONN || memory.uid == euid)
			return rc;
		memset(request->token, 0, sizeof(request->token));
	}
	return ask_user(euid, request, pass, reply, fd);
}

static void tell(int rc)
{
	if (rc == -ETIMEDOUT)
		log_error("punch-resolver runs but did not answer for %d s: see \"punchctl status\", "
			  "or \"punchctl stop\"",
			  ASK_TIMEOUT_MS / 1000);
	else if (rc == -ENOTCONN)
		log_error("punch-resolver was started but does not answer");
	else
		log_error("cannot talk to punch-resolver: %s", strerror(-rc));
}

int ask(struct local_request *request, int pass, enum ask_effort effort, struct local_reply *reply, int *fd)
{
	int rc = ask_anyone(request, pass, reply, fd);

	if (effort != ASK_START || rc == 0)
		return rc;
	if (rc == -ENOTCONN || rc == -ECONNRESET) {
		rc = start_resolver();
		if (rc < 0)
			return rc;
		rc = ask_anyone(request, pass, reply, fd);
	}
	if (rc < 0)
		tell(rc);
	return rc;
}
