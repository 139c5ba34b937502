/* SPDX-License-Identifier: MIT */
/*
 * dial.c - connect() to a peer
 *
 * What decides is the address: a stand-in, or a literal alias.  Anything else
 * goes to the kernel at once.  See pending.c for how the program waits.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/log.h"
#include "common/standin.h"
#include "shim/ask.h"
#include "shim/config.h"
#include "shim/dial.h"
#include "shim/env.h"
#include "shim/libc.h"
#include "shim/mptcp.h"
#include "shim/names.h"
#include "shim/pending.h"
#include "shim/raw.h"

#define STATE_CLOSE	7	/* TCP_CLOSE of the kernel: a fresh socket, or one that failed */

/**
 * struct dial - one connect() that is ours
 * @native:	it is not, after all: let the kernel say what is wrong with it
 * @again:	the socket is parked already: wait on
 */
struct dial {
	int fd;
	const struct config *config;
	const struct sockaddr *address;
	socklen_t size;
	struct endpoint target;
	int domain;
	int flags;
	uint32_t slot;
	bool native;
	bool again;
};

static bool is_blocking(const struct dial *dial)
{
	return !(dial->flags & O_NONBLOCK);
}

/* A look-up in memory */
static bool is_ours(const struct sockaddr *address, socklen_t size, struct endpoint *target)
{
	const struct config *config = config_get();

	if (!config || !raw_plausible(address) || size < (socklen_t)sizeof(sa_family_t) ||
	    (address->sa_family != AF_INET && address->sa_family != AF_INET6))
		return false;
	if (standin_is_sockaddr(address, size))
		return endpoint_from_sockaddr(target, address, size) == 0;
	return config_has_addresses(config) && endpoint_from_sockaddr(target, address, size) == 0 &&
	       config_owns_address(config, target);
}

/* A socket that was parked before: this connect() is told what became of that. Return: false when it was not */
static bool is_parked(struct dial *dial, int *rc)
{
	int error = 0;

	switch (pending_settle(dial->fd, "another connect()", &error)) {
	case PENDING_NOT:
		return false;
	case PENDING_CONNECTING:
		dial->again = is_blocking(dial);
		*rc = -EALREADY;
		break;
	case PENDING_DONE:
		remote_acknowledge(dial->fd);
		*rc = 0;
		break;
	case PENDING_FAILED:
		pending_forget(dial->fd);
		*rc = -error;
		break;
	}
	return true;
}

/* A socket that was parked or swapped before. Return: false when it was not */
static bool is_known(struct dial *dial, int *rc)
{
	if (pending_any() && is_parked(dial, rc))
		return true;
	*rc = remote_acknowledge(dial->fd);
	return *rc != -ENOENT;
}

/* Is this a socket that could be connected to a TCP peer now? Return: 0; -errno, or dial->native set */
static int check(struct dial *dial)
{
	int type = raw_sockopt_int(dial->fd, SOL_SOCKET, SO_TYPE);
	int protocol = raw_sockopt_int(dial->fd, SOL_SOCKET, SO_PROTOCOL);
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	dial->domain = raw_sockopt_int(dial->fd, SOL_SOCKET, SO_DOMAIN);
	if (type < 0 || (dial->domain != AF_INET && dial->domain != AF_INET6)) {
		dial->native = true;
	} else if (type != SOCK_STREAM || (protocol != IPPROTO_TCP && !mptcp_is(dial->fd))) {
		/* datagrams to a stand-in would go to the LAN as multicast */
		if (standin_slot(&dial->target))
			return -ENETUNREACH;
		dial->native = true;
	} else if (dial->address->sa_family != dial->domain) {
		dial->native = true;
	} else if (protocol == IPPROTO_TCP &&
		   raw_getsockopt(dial->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
		   info.tcpi_state != STATE_CLOSE) {
		dial->native = true;	/* listening, or connected elsewhere: EISCONN, EALREADY */
	}
	return 0;
}

/* Things that a parked socket cannot be */
static int prepare(struct dial *dial)
{
	int off = 0;

	if (mptcp_is(dial->fd))
		return mptcp_leave(dial->fd);
	/* connect() would report success and wait for data */
	if (raw_sockopt_int(dial->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT) > 0)
		return raw_setsockopt(dial->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &off, sizeof(off));
	return 0;
}

static int judge(struct dial *dial, const struct local_reply *reply)
{
	if (reply->status == LOCAL_OK && reply->slot && reply->slot <= STANDIN_SLOTS - 2) {
		dial->slot = reply->slot;
		return 0;
	}
	if (reply->status == LOCAL_FAILED && reply->text[0]) {
		log_error("%s", reply->text);
		return reply->error > 0 ? -reply->error : -EHOSTUNREACH;
	}
	/* never a plain connection instead */
	log_error("%s: punch-resolver does not know this peer: has punch.conf changed since it "
		  "started? (punchctl stop)", names_label(standin_slot(&dial->target)));
	return -ENETUNREACH;
}

static int park(struct dial *dial)
{
	const char *name = names_peer(standin_slot(&dial->target));
	struct local_request request;
	struct local_reply reply;
	int fd, rc;

	ask_request(&request, dial->config, LOCAL_PARK);
	request.target = dial->target;
	request.family = (uint32_t)dial->domain;
	if (name && strlen(name) < sizeof(request.peer))
		strcpy(request.peer, name);
	/* the resolver's connect() on it must not block the resolver */
	if (is_blocking(dial))
		raw_fcntl(dial->fd, F_SETFL, dial->flags | O_NONBLOCK);
	rc = ask(&request, dial->fd, ASK_START, &reply, &fd);
	if (is_blocking(dial))
		raw_fcntl(dial->fd, F_SETFL, dial->flags);
	if (fd >= 0)
		raw_close(fd);
	if (rc < 0)
		return rc == -EMFILE || rc == -ENFILE ? rc : -ENETUNREACH;
	return judge(dial, &reply);
}

/* Inside the guard. Return: 0 parked, or connected already (@done); or -errno */
static int start(struct dial *dial, bool *done)
{
	struct remote remote = { 0 };
	int rc;

	dial->flags = raw_fcntl(dial->fd, F_GETFL, 0);
	*done = (pending_any() || remote_any()) && is_known(dial, &rc);
	if (*done)
		return rc;
	rc = check(dial);
	if (rc < 0 || dial->native)
		return rc;
	if (config_problem(dial->config)) {
		log_error("%s", config_problem(dial->config));
		return -ENETUNREACH;
	}
	rc = prepare(dial);
	if (rc == 0)
		rc = park(dial);
	if (rc < 0)
		return rc;
	remote.slot = dial->slot;
	remote.port = dial->target.port;
	remote.form = remote_form_of(dial->address, dial->size);
	pending_add(dial->fd, &remote);
	return 0;
}

static uint32_t slot_of(const struct dial *dial)
{
	return dial->slot ? dial->slot : standin_slot(&dial->target) ? standin_slot(&dial->target) : 1;
}

/*
 * A resolver that is killed takes the placeholder with it.  A program that waits by itself is woken by that and must be
 * told; one that waits in connect() has not seen anything, so the next resolver gets its chance.
 */
static int wait_for_peer(struct dial *dial)
{
	int errno_kept = errno, rc = pending_wait(dial->fd, slot_of(dial), true);
	struct guard guard;
	bool done = false;

	if (rc == 0 || errno != ECONNABORTED)
		return rc;
	guard_enter(&guard);
	rc = start(dial, &done);
	guard_leave(&guard);
	if (rc == 0 && !done)
		rc = pending_wait(dial->fd, slot_of(dial), true) < 0 ? -errno : 0;
	if (rc == 0) {
		errno = errno_kept;
		return 0;
	}
	if (rc == -ECONNABORTED)
		log_error("%s: punch-resolver went away while it was connecting, and again at the second try",
			  names_label(slot_of(dial)));
	errno = -rc;
	return -1;
}

/* Return: as start(), but one thread at a time for each socket */
static int begin(struct dial *dial, bool *done)
{
	struct guard guard;
	uint64_t turn;
	int rc;

	guard_enter(&guard);
	turn = pending_turn(dial->fd);
	rc = start(dial, done);
	pending_turn_over(turn);
	guard_leave(&guard);
	return rc;
}

static int dial_peer(struct dial *dial)
{
	bool done = false;
	int rc = begin(dial, &done);

	if (dial->native)
		return libc_connect(dial->fd, dial->address, dial->size);
	if (dial->again)
		return pending_wait(dial->fd, slot_of(dial), false);
	if (rc == 0 && !done && is_blocking(dial))
		return wait_for_peer(dial);
	if (rc == 0 && !done)
		rc = -EINPROGRESS;
	if (rc == 0)
		return 0;
	errno = -rc;
	return -1;
}

enum dial_step dial_begin(int fd, const struct sockaddr *address, socklen_t size, int *result)
{
	struct dial dial = { .fd = fd, .config = config_get(), .address = address, .size = size };
	bool done = false;

	if (!is_ours(address, size, &dial.target))
		return DIAL_NATIVE;
	*result = begin(&dial, &done);
	if (dial.native)
		return DIAL_NATIVE;
	if (dial.again)
		return DIAL_WAIT_AGAIN;
	if (*result < 0 || done)
		return DIAL_DONE;
	if (is_blocking(&dial))
		return DIAL_WAIT;
	*result = -EINPROGRESS;
	return DIAL_DONE;
}

enum dial_step dial_begin_elsewhere(int fd, int *result)
{
	struct dial dial = { .fd = fd };
	bool parked = false;
	struct guard guard;

	if (!pending_any())
		return DIAL_NATIVE;
	guard_enter(&guard);
	dial.flags = raw_fcntl(fd, F_GETFL, 0);
	parked = is_parked(&dial, result);
	guard_leave(&guard);
	return !parked ? DIAL_NATIVE : dial.again ? DIAL_WAIT_AGAIN : DIAL_DONE;
}

bool dial_is_ours(const struct sockaddr *address, socklen_t size)
{
	struct endpoint target;

	return is_ours(address, size, &target);
}

void dial_forget(int fd)
{
	struct guard guard;

	guard_enter(&guard);
	pending_forget(fd);
	remote_forget(fd);
	guard_leave(&guard);
}

/* connect(AF_UNSPEC) undoes a connection: the socket is an ordinary one again, also one that
 * came from another process */
static int disconnect(int fd, const struct sockaddr *address, socklen_t size)
{
	int errno_kept = errno;

	if (pending_any() || remote_any())
		dial_forget(fd);
	else
		remote_forget(fd);
	errno = errno_kept;
	return libc_connect(fd, address, size);
}

/*
 * Another socket than one that waits for its peer?  By its cookie: duplicates are the same socket, and one that failed
 * would be undone as the peer's when it is a host's by then.  Nothing else reaches an address of another family
 */
static bool is_other(int fd, const struct sockaddr *address)
{
	return !pending_any() || (address->sa_family != AF_INET && address->sa_family != AF_INET6) || !pending_has(fd);
}

/* To nobody of ours. As to a host: while a socket connects, the next connect() tells what comes of that, wherever to */
static int connect_elsewhere(int fd, const struct sockaddr *address, socklen_t size)
{
	int result = 0;

	switch (is_other(fd, address) ? DIAL_NATIVE : dial_begin_elsewhere(fd, &result)) {
	case DIAL_WAIT_AGAIN:
		return pending_wait(fd, 1, false);
	case DIAL_DONE:
		if (result == 0)
			return 0;
		errno = -result;
		return -1;
	default:
		remote_native(fd, address, size);
		return libc_connect(fd, address, size);
	}
}

int dial_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	struct endpoint target;

	if (env_any())
		return libc_connect(fd, address, size);
	if (is_ours(address, size, &target))
		return dial_peer(&(struct dial){
			.fd = fd, .config = config_get(), .address = address, .size = size, .target = target,
		});
	if (raw_plausible(address) && size >= (socklen_t)sizeof(sa_family_t) &&
	    size <= (socklen_t)sizeof(struct sockaddr_storage)) {
		if (address->sa_family == AF_UNSPEC && !env_off())
			return disconnect(fd, address, size);
		return connect_elsewhere(fd, address, size);
	}
	remote_native(fd, address, size);
	return libc_connect(fd, address, size);
}
