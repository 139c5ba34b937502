/* SPDX-License-Identifier: MIT */
/*
 * serve.c - listen() and accept() for peers
 *
 * Theory of operation
 *
 * listen() on the port of a [service] tells the resolver of the socket.  When
 * a peer's socket is ready the resolver *rings*: it connects to that port from an address of
 * the doorbell pool.  The program wakes as for any client, in poll, epoll or
 * accept, in whichever process or thread; accept() here sees a source in the pool,
 * claims the peer's socket with the accepted one as proof, and puts it in
 * its place before the program has seen it.
 *
 * A listener of MPTCP becomes one of TCP at listen(): a fresh socket, bound to the same place.
 *
 * Any local user can connect from 127.x.  Such a one is not known to the
 * resolver and stays what it is: a local client with that address.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/standin.h"
#include "shim/ask.h"
#include "shim/config.h"
#include "shim/env.h"
#include "shim/libc.h"
#include "shim/mptcp.h"
#include "shim/raw.h"
#include "shim/remote.h"
#include "shim/serve.h"
#include "shim/swap.h"

/* from here on the kernel gives numbers to who wants any (ip_local_port_range) */
#define PORTS_CHOSEN		32768
#define LISTEN_FDS_START	3	/* sd_listen_fds(3) */
#define LISTEN_FDS_MOST		64

/* A doorbell for an IPv6-only listener comes from ::1.  One was published here, or in a process that forked this one */
static _Atomic(bool) six_only;

/*
 * A bit for each descriptor to which no doorbell comes from ::1, so that a client from there costs it no system call,
 * which a sandbox may punish.  It is written when it listens, by whether it did so before (it came by exec(), by
 * SCM_RIGHTS or from systemd, or this is a second listen()), and by punch.conf:
 *
 *			punch.conf is right		it has a mistake
 *	for the first	set, but for a service that	set: it is not published
 *	 time		 takes IPv6 alone
 *	listened before	the same: the resolver, too,	not set: who had it before may have published it, and the
 *			 goes by this file		 resolver rings as the file was.  has_six_only() looks each time
 *
 * A number that was closed, and came back by SCM_RIGHTS with a published one, is mistaken for it until it listens
 */
#define NUMBERS		4096	/* higher descriptors have none */
static _Atomic(uint64_t) others[NUMBERS / 64];
static bool without_numbers;

/*
 * Quick mode publishes what listens, and asks nobody which port.  What listens on loopback alone was not meant for
 * other hosts: it stays where it is, unless that is said
 */
static bool is_private(const struct config *config, const struct endpoint *bound)
{
	return config_is_quick(config) && endpoint_is_loopback(bound) && !env_loopback();
}

/* Where @fd is bound. Return: false when it is no TCP socket with a port of ours */
static bool is_service(int fd, const struct config *config, struct endpoint *bound)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);

	if (raw_getsockname(fd, &ss, &size) < 0 || (ss.ss_family != AF_INET && ss.ss_family != AF_INET6) ||
	    endpoint_from_sockaddr(bound, (struct sockaddr *)&ss, size) < 0)
		return false;
	if (!config_owns_port(config, bound->port) || is_private(config, bound))
		return false;
	return raw_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP || mptcp_is(fd);
}

bool serve_is_service(int fd)
{
	const struct config *config = config_get();
	struct endpoint bound;

	return config && config_has_services(config) && is_service(fd, config, &bound);
}

/* A doorbell carries no byte: it would not wake a listener that waits for one */
static void accept_at_once(int fd)
{
	int off = 0;

	if (raw_sockopt_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0)
		raw_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &off, sizeof(off));
}

/* Does no IPv4 connection, and so no address of the pool, ever come to this listener? */
static bool is_six_only(int fd, const struct endpoint *bound)
{
	return bound->family == AF_INET6 &&
	       (!endpoint_is_any(bound) || raw_sockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0);
}

static void know(int fd, bool other)
{
	if (fd < 0 || fd >= NUMBERS || without_numbers)
		return;
	if (other)
		atomic_fetch_or_explicit(&others[fd / 64], 1ull << fd % 64, memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&others[fd / 64], ~(1ull << fd % 64), memory_order_relaxed);
}

static bool is_other(int fd)
{
	return fd >= 0 && fd < NUMBERS && !without_numbers &&
	       (atomic_load_explicit(&others[fd / 64], memory_order_relaxed) >> fd % 64 & 1);
}

/* The resolver knows of no such service.  It reads a changed punch.conf by itself, but a broken one not */
static void tell_not_ours(const struct config *config, const struct endpoint *bound)
{
	if (config_is_quick(config))
		log_error("port %u is not published: quick mode without a name only calls: add --as NAME (PUNCH_AS)",
			  bound->port);
	else
		log_error("port %u is not published: punch-resolver knows no [service] with it: an older %s is in "
			  "force there, see \"punchctl status\"", bound->port, config_local(config)->path);
}

/* Once in a process and its children: a server may listen often, and it is one rendezvous that all its ports need */
static void tell_reach(const struct endpoint *bound, const struct local_reply *reply)
{
	static _Atomic(bool) told;

	if (!reply->text[0])
		log_info("port %u is published, and reachable by peers", bound->port);
	else if (!atomic_exchange(&told, true))
		log_error("port %u is not reachable by peers yet: %s", bound->port, reply->text);
}

static void published(int fd, const struct endpoint *bound, const struct local_reply *reply)
{
	if (is_six_only(fd, bound))
		atomic_store(&six_only, true);
	tell_reach(bound, reply);
}

static void publish(int fd, const struct config *config, const struct endpoint *bound)
{
	struct local_request request;
	struct local_reply reply;
	int got, rc;

	if (config_problem(config)) {
		log_error("port %u is not published: %s", bound->port, config_problem(config));
		return;
	}
	accept_at_once(fd);
	know(fd, !is_six_only(fd, bound));	/* whatever is answered: it may come too late */
	ask_request(&request, config, LOCAL_LISTEN);
	rc = ask(&request, fd, ASK_START, &reply, &got);
	if (got >= 0)
		raw_close(got);
	if (rc < 0)
		log_error("port %u is not published; local clients can connect all the same", bound->port);
	else if (reply.status == LOCAL_FAILED)
		log_error("port %u is not published: %s", bound->port, reply.text);
	else if (reply.status != LOCAL_OK)
		tell_not_ours(config, bound);
	else
		published(fd, bound, &reply);
}

static void publish_guarded(int fd, const struct config *config, const struct endpoint *bound)
{
	struct guard guard;

	guard_enter(&guard);
	publish(fd, config, bound);
	guard_leave(&guard);
}

/*
 * A port that is not published, of a program that was started to serve peers: said once.  Not of one that calls a
 * peer (ssh -L, an FTP client), and nothing of ports that the kernel chooses, or of loopback in file mode, where each
 * service is named: these are most programs' own business.
 */
static void tell_left_out(int fd, const struct config *config, const struct endpoint *bound)
{
	static _Atomic(bool) told;
	bool private = is_private(config, bound);

	if (bound->family == AF_UNSPEC || bound->port >= PORTS_CHOSEN || remote_any() ||
	    !(private ? config_local(config)->as[0] : !config_is_quick(config) && !endpoint_is_loopback(bound)) ||
	    raw_sockopt_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM || atomic_exchange(&told, true))
		return;
	if (private)
		log_warn("port %u is not published: it is bound to loopback alone; if peers are to reach it, say so "
			 "with --loopback (PUNCH_LOOPBACK=yes)", bound->port);
	else
		log_write(config_has_services(config) ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
			  "port %u is not published: no [service] of %s has it", bound->port,
			  config_local(config)->path);
}

/* @fd listens */
static void look_at(int fd, const struct config *config)
{
	int errno_kept = errno;
	struct endpoint bound = { 0 };

	if (is_service(fd, config, &bound))
		publish_guarded(fd, config, &bound);
	else
		tell_left_out(fd, config, &bound);
	errno = errno_kept;
}

/*
 * Before it listens: a service of MPTCP becomes one of TCP, which listens already. Return:
 * false when a signal has ended the call meanwhile (punch_any_swap.c), with errno
 */
static bool leave_mptcp(int fd, int backlog)
{
	int errno_kept = errno, rc;
	struct guard guard;

	guard_enter(&guard);
	rc = raw_sockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0 ? mptcp_leave_listening(fd, backlog) : 0;
	guard_leave(&guard);
	errno = rc == -EINTR ? EINTR : errno_kept;
	if (rc < 0 && rc != -EINTR)
		log_error("cannot put a TCP socket in the place of a listener of MPTCP: %s", strerror(-rc));
	return rc != -EINTR;
}

static int listen_natively(int fd, int backlog, bool other)
{
	int rc = libc_listen(fd, backlog);

	if (rc == 0)
		know(fd, other);
	return rc;
}

/*
 * Costs one system call where there are services, more only for one of them, and for what was never bound.
 * @other: is it no listener that others have published?
 */
static int listen_here(int fd, int backlog, bool other, const struct config *config)
{
	int errno_kept = errno, rc;
	struct endpoint bound = { 0 };
	bool ours = is_service(fd, config, &bound);

	errno = errno_kept;
	if (ours && mptcp_is(fd) && !leave_mptcp(fd, backlog))
		return -1;
	rc = listen_natively(fd, backlog, other);
	if (rc < 0)
		return rc;
	if (ours && bound.port)
		publish_guarded(fd, config, &bound);
	else if (bound.family && !bound.port)
		look_at(fd, config);
	else
		tell_left_out(fd, config, &bound);
	errno = errno_kept;
	return rc;
}

int serve_listen(int fd, int backlog)
{
	const struct config *config = env_any() ? NULL : config_get();
	int errno_kept = errno;
	bool other;

	if (!config)
		return libc_listen(fd, backlog);
	other = !config_problem(config) || raw_sockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) <= 0;
	errno = errno_kept;
	if (!config_has_services(config) && !log_enabled(LOG_LEVEL_INFO))
		return listen_natively(fd, backlog, other);
	return listen_here(fd, backlog, other, config);
}

void serve_init(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const struct config *config;
	long most;
	int fd;

	if (env_off() || env_any() || !pid || !count || strtoul(pid, NULL, 10) != (unsigned long)getpid())
		return;
	config = config_get();
	if (!config || !config_has_services(config))
		return;
	most = strtol(count, NULL, 10);
	if (most > LISTEN_FDS_MOST)
		most = LISTEN_FDS_MOST;
	for (fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + most; fd++) {
		if (raw_sockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) <= 0)
			continue;
		know(fd, !config_problem(config));
		look_at(fd, config);
	}
}

void serve_for_others(void)
{
	without_numbers = true;
}

int serve_setsockopt(int fd, const void *value, socklen_t size)
{
	const struct config *config = config_get();
	struct endpoint bound;
	struct guard guard;
	bool ours;
	int seconds = 0;

	if (env_any() || !config || !config_has_services(config) || !raw_plausible(value) ||
	    size < (socklen_t)sizeof(seconds))
		return libc_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, value, size);
	guard_enter(&guard);
	ours = raw_sockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) > 0 && is_service(fd, config, &bound);
	guard_leave(&guard);
	if (ours)
		memcpy(&seconds, value, sizeof(seconds));
	/* an optimisation only: whoever sets it also copes with a client that sends late */
	return ours && seconds > 0 ? 0 : libc_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, value, size);
}

/* ------------------------------------------------------------ accept() */

/*
 * Who published @listener may be another program: it came through exec() or from another process.  Where the file has
 * a mistake by now, its services are not known
 */
static bool has_six_only(int listener)
{
	const struct config *config = config_get();
	struct endpoint bound = { 0 };

	if (atomic_load_explicit(&six_only, memory_order_relaxed))
		return true;
	return config && !is_other(listener) && (config_has_services(config) || config_problem(config)) &&
	       (is_service(listener, config, &bound) || config_problem(config)) && is_six_only(listener, &bound);
}

/* Clients from ::1 alone cost a look at @listener */
static bool is_doorbell(int listener, const struct sockaddr_storage *from, socklen_t size)
{
	const struct sockaddr *address = (const struct sockaddr *)from;
	struct endpoint ep;

	if (doorbell_is_sockaddr(address, size))
		return true;
	return from->ss_family == AF_INET6 && endpoint_from_sockaddr(&ep, address, size) == 0 &&
	       ep.family == AF_INET6 && endpoint_is_loopback(&ep) && has_six_only(listener);
}

/* The peer's socket is here. @from: the doorbell's address, becomes the peer's */
static int take(int fd, int fresh, const struct local_reply *reply, struct sockaddr_storage *from, socklen_t *size)
{
	struct remote remote = {
		.slot = reply->slot & (STANDIN_SLOTS - 1),
		.form = remote_form_of((struct sockaddr *)from, *size),
	};
	struct endpoint bell;
	int rc;

	/* all connections through a relay have its one port; the doorbell's are different */
	if (endpoint_from_sockaddr(&bell, (struct sockaddr *)from, *size) == 0)
		remote.port = bell.port;
	if (reply->path != LOCAL_PATH_RELAY && reply->remote.port)
		remote.port = reply->remote.port;
	rc = swap_accepted(fd, fresh);
	if (rc < 0)
		return rc;
	remote_put(fd, &remote, true);
	*size = sizeof(*from);
	remote_write(&remote, (struct sockaddr *)from, size);
	return 0;
}

/*
 * Return: 0 the peer's socket is behind @fd now, or it is an ordinary local
 * client; -ECONNABORTED the peer has gone, or the resolver did not say that it is none: whom a server trusts for an
 * address of 127/8 is to be local; -EMFILE
 */
static int claim(int fd, struct sockaddr_storage *from, socklen_t *size)
{
	const struct config *config = config_get();
	struct local_request request;
	struct local_reply reply;
	int fresh, rc;

	/* also where the file has a mistake by now: the resolver goes on with what it has read before, and rings */
	if (!config)
		return 0;
	ask_request(&request, config, LOCAL_CLAIM_DOORBELL);
	rc = ask(&request, fd, ASK_RUNNING, &reply, &fresh);
	if (rc == 0 && reply.status == LOCAL_OK && fresh >= 0)
		return take(fd, fresh, &reply, from, size);
	if (fresh >= 0)
		raw_close(fresh);
	if (rc == -EMFILE || rc == -ENFILE)
		return rc;
	if (rc < 0)
		return rc == -ENOTCONN ? 0 : -ECONNABORTED;	/* nobody runs: nobody rang */
	return reply.status == LOCAL_FAILED ? -ECONNABORTED : 0;
}

static void tell_address(const struct sockaddr_storage *from, socklen_t from_size, struct sockaddr *address,
			 socklen_t given, socklen_t *size)
{
	if (!address)
		return;
	memcpy(address, from, given < from_size ? given : from_size);
	*size = from_size;
}

static int accept_natively(int fd, struct sockaddr *address, socklen_t *size, int flags, bool four)
{
	return four ? libc_accept4(fd, address, size, flags) : libc_accept(fd, address, size);
}

/* The kernel writes to the program's own memory: so whatever is wrong with that is the kernel's to say */
int serve_accept(int fd, struct sockaddr *address, socklen_t *size, int flags, bool four)
{
	struct sockaddr_storage from;
	int errno_kept = errno, accepted, rc;
	socklen_t given = 0, from_size;
	struct guard guard;

	if (env_off() || env_any() || (address && (!raw_plausible(address) || !raw_plausible(size))))
		return accept_natively(fd, address, size, flags, four);
	if (address)
		given = *size;
	for (;;) {
		from_size = sizeof(from);
		if (address)
			accepted = accept_natively(fd, address, size, flags, four);
		else
			accepted = accept_natively(fd, (struct sockaddr *)&from, &from_size, flags, four);
		if (accepted < 0)
			return -1;
		if (address)
			from_size = remote_look(accepted, address, given, *size, &from);
		if (!is_doorbell(fd, &from, from_size)) {
			remote_native(accepted, (struct sockaddr *)&from, from_size);
			break;
		}
		guard_enter(&guard);
		rc = claim(accepted, &from, &from_size);
		if (rc < 0)
			raw_close(accepted);
		guard_leave(&guard);
		if (rc == 0) {
			tell_address(&from, from_size, address, given, size);
			break;
		}
		if (rc != -ECONNABORTED) {
			errno = -rc;
			return -1;
		}
		/* the peer has gone: as if it had never come */
		if (address)
			*size = given;
	}
	errno = errno_kept;
	return accepted;
}
