/* SPDX-License-Identifier: MIT */
/*
 * carry.c - make one socket look like another to the program that owns it
 *
 * What the program has set is not known, for setsockopt() is hardly hooked;
 * but each option can be read from its socket.  An option is set only where the two
 * differ: most are at their defaults on both, and a set default is not
 * always the same as an unset one (a locked buffer no longer grows).
 *
 * Keepalive is the exception, because the resolver gives it to each punched socket so that NATs do not
 * forget an idle connection (resolver/keepalive.c).  A program that chose times of its own keeps
 * exactly what it chose, on or off.  One that only switched keepalive on, or never thought of it, gets
 * the resolver's; what it sets later is a plain setsockopt() on the socket, and counts.  The congestion control is
 * another: the local end of an encrypted connection has one that does not pace (resolver/pair.c).
 *
 * Sizes of buffers are raised where the kernel makes the records: those take whole ones of 16 KiB, and before Linux 6.5
 * sendfile() waits for ever in a send buffer below the 64 KiB that it does not push (resolver/ktls.c).
 */
#include <linux/in6.h>
#include <linux/ip.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>

#include "shim/carry.h"
#include "shim/raw.h"

/* Missing in the headers of some libcs */
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK		72
#endif
#define BUF_LOCK_SEND		1
#define BUF_LOCK_RECEIVE	2
#define TLS_BUFFER		(128 * 1024)	/* bytes: twice what is not pushed */
#define OPTION_MOST		16	/* bytes of the largest one: TCP_CA_NAME_MAX, IFNAMSIZ, struct timeval */

/* Names with their number in the kernel, which all of Linux shares; headers differ in which they offer */
enum {
	NAME_IPV6_MINHOPCOUNT = 73,
	NAME_TCP_THIN_LINEAR_TIMEOUTS = 16,
	NAME_TCP_NOTSENT_LOWAT = 25,
	NAME_TCP_INQ = 36,
};

struct option {
	int level;
	int name;
};

/*
 * IP_MINTTL, IP_TTL and IP_RECVERR are here to undo what the punching did as
 * much as to keep what the program did.
 */
static const struct option options[] = {
	{ SOL_SOCKET, SO_REUSEADDR },
	{ SOL_SOCKET, SO_REUSEPORT },
	{ SOL_SOCKET, SO_OOBINLINE },
	{ SOL_SOCKET, SO_LINGER },
	{ SOL_SOCKET, SO_RCVTIMEO },
	{ SOL_SOCKET, SO_SNDTIMEO },
	{ SOL_SOCKET, SO_RCVLOWAT },
	{ SOL_SOCKET, SO_MARK },
	{ SOL_SOCKET, SO_MAX_PACING_RATE },
	{ SOL_SOCKET, SO_BUSY_POLL },
	{ SOL_SOCKET, SO_TIMESTAMP },
	{ SOL_SOCKET, SO_ZEROCOPY },
	{ IPPROTO_TCP, TCP_NODELAY },
	{ IPPROTO_TCP, TCP_CORK },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT },
	{ IPPROTO_TCP, TCP_LINGER2 },
	{ IPPROTO_TCP, NAME_TCP_THIN_LINEAR_TIMEOUTS },
	{ IPPROTO_TCP, NAME_TCP_NOTSENT_LOWAT },
	{ IPPROTO_TCP, NAME_TCP_INQ },
	{ IPPROTO_IP, IP_TOS },
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_MINTTL },
	{ IPPROTO_IP, IP_MTU_DISCOVER },
	{ IPPROTO_IP, IP_RECVERR },
	{ IPPROTO_IP, IP_RECVTOS },
	{ IPPROTO_IPV6, IPV6_TCLASS },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS },
	{ IPPROTO_IPV6, NAME_IPV6_MINHOPCOUNT },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER },
	{ IPPROTO_IPV6, IPV6_RECVERR },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS },
	{ SOL_SOCKET, SO_PRIORITY },		/* after IP_TOS, which sets it too */
};

/* Before bind(): the rest may wait, and is in the list above if it is to be carried */
static const struct option bind_options[] = {
	{ SOL_SOCKET, SO_REUSEPORT },
	{ SOL_SOCKET, SO_BINDTODEVICE },
	{ IPPROTO_IP, IP_FREEBIND },
	{ IPPROTO_IP, IP_TRANSPARENT },
	{ IPPROTO_IPV6, IPV6_V6ONLY },
};

static const struct option keep_times[] = {
	{ IPPROTO_TCP, TCP_KEEPIDLE },
	{ IPPROTO_TCP, TCP_KEEPINTVL },
	{ IPPROTO_TCP, TCP_KEEPCNT },
};
#define KEEP_TIMES	(sizeof(keep_times) / sizeof(keep_times[0]))

/* What a fresh socket has (net.ipv4.tcp_keepalive_*), asked once; 0: not known yet */
static _Atomic(int) keep_defaults[KEEP_TIMES];

static void carry_option(const struct option *option, int from, int to)
{
	char wanted[OPTION_MOST] = { 0 }, present[OPTION_MOST] = { 0 };
	socklen_t wanted_size = sizeof(wanted), present_size = sizeof(present);

	if (raw_getsockopt(from, option->level, option->name, wanted, &wanted_size) < 0 ||
	    raw_getsockopt(to, option->level, option->name, present, &present_size) < 0)
		return;
	if (wanted_size != present_size || memcmp(wanted, present, sizeof(wanted)) != 0)
		raw_setsockopt(to, option->level, option->name, wanted, wanted_size);
}

static void learn_defaults(void)
{
	int fd = raw_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP), value;
	unsigned int i;

	for (i = 0; fd >= 0 && i < KEEP_TIMES; i++) {
		value = raw_sockopt_int(fd, keep_times[i].level, keep_times[i].name);
		atomic_store_explicit(&keep_defaults[i], value, memory_order_relaxed);
	}
	if (fd >= 0)
		raw_close(fd);
}

/* Did the program set one of the times? Where that cannot be known it counts as yes: its settings go first */
static bool chose_times(int fd)
{
	unsigned int i;

	if (!atomic_load_explicit(&keep_defaults[0], memory_order_relaxed))
		learn_defaults();
	for (i = 0; i < KEEP_TIMES; i++)
		if (raw_sockopt_int(fd, keep_times[i].level, keep_times[i].name) !=
		    atomic_load_explicit(&keep_defaults[i], memory_order_relaxed))
			return true;
	return false;
}

static void carry_keepalive(int from, int to)
{
	static const struct option keepalive = { SOL_SOCKET, SO_KEEPALIVE };
	unsigned int i;

	if (chose_times(from)) {
		carry_option(&keepalive, from, to);
		for (i = 0; i < KEEP_TIMES; i++)
			carry_option(&keep_times[i], from, to);
	} else if (raw_sockopt_int(from, SOL_SOCKET, SO_KEEPALIVE) > 0) {
		carry_option(&keepalive, from, to);
	}
}

/* Not what every fresh socket has; where that cannot be known, what the program has counts */
static void carry_congestion(int from, int to)
{
	static const struct option congestion = { IPPROTO_TCP, TCP_CONGESTION };
	char wanted[OPTION_MOST] = { 0 }, present[OPTION_MOST] = { 0 }, fresh[OPTION_MOST] = { 0 };
	socklen_t wanted_size = sizeof(wanted), present_size = sizeof(present), fresh_size = sizeof(fresh);
	int fd;

	if (raw_getsockopt(from, IPPROTO_TCP, TCP_CONGESTION, wanted, &wanted_size) < 0 ||
	    raw_getsockopt(to, IPPROTO_TCP, TCP_CONGESTION, present, &present_size) < 0 ||
	    memcmp(wanted, present, sizeof(wanted)) == 0)
		return;
	fd = raw_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0 || raw_getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, fresh, &fresh_size) < 0 ||
	    memcmp(wanted, fresh, sizeof(wanted)) != 0)
		carry_option(&congestion, from, to);
	if (fd >= 0)
		raw_close(fd);
}

/* A size that the program fixed, but @least; the kernel reports twice what was asked for */
static void carry_buffer(int locks, int lock, int name, int from, int to, int least)
{
	int size = locks & lock ? raw_sockopt_int(from, SOL_SOCKET, name) / 2 : 0;

	if (size > 0 && size < least)
		size = least;
	if (size > 0)
		raw_setsockopt(to, SOL_SOCKET, name, &size, sizeof(size));
}

static void carry_owner(int from, int to)
{
	struct {
		int type;
		int pid;
	} owner = { 0 };		/* struct f_owner_ex */
	union {
		void *address;
		long argument;
	} p = { .address = &owner };
	int signal = raw_fcntl(from, 11 /* F_GETSIG */, 0);

	if (signal > 0)
		raw_fcntl(to, 10 /* F_SETSIG */, signal);
	if (raw_fcntl(from, 16 /* F_GETOWN_EX */, p.argument) == 0 && owner.pid)
		raw_fcntl(to, 15 /* F_SETOWN_EX */, p.argument);
}

static void carry_options(const struct option *list, size_t count, int from, int to)
{
	int domain = raw_sockopt_int(from, SOL_SOCKET, SO_DOMAIN);
	size_t i;

	for (i = 0; i < count; i++) {
		if (list[i].level != IPPROTO_IPV6 || domain == AF_INET6)
			carry_option(&list[i], from, to);
	}
}

void carry_for_bind(int from, int to)
{
	carry_options(bind_options, sizeof(bind_options) / sizeof(bind_options[0]), from, to);
}

bool carry_over(int from, int to)
{
	int locks = raw_sockopt_int(from, SOL_SOCKET, SO_BUF_LOCK);
	int flags = raw_fcntl(from, F_GETFL, 0);

	carry_options(options, sizeof(options) / sizeof(options[0]), from, to);
	carry_keepalive(from, to);
	carry_congestion(from, to);
	if (locks > 0) {
		int least = raw_is_tls(to) ? TLS_BUFFER : 0;

		carry_buffer(locks, BUF_LOCK_SEND, SO_SNDBUF, from, to, least);
		carry_buffer(locks, BUF_LOCK_RECEIVE, SO_RCVBUF, from, to, least);
	}
	carry_owner(from, to);
	if (flags >= 0)
		raw_fcntl(to, F_SETFL, flags & ~O_ASYNC);
	return flags >= 0 && (flags & O_ASYNC);
}

void carry_async(int fd)
{
	int flags = raw_fcntl(fd, F_GETFL, 0), least = raw_sockopt_int(fd, SOL_SOCKET, SO_RCVLOWAT);

	if (flags >= 0)
		raw_fcntl(fd, F_SETFL, flags | O_ASYNC);
	/* What came before has been signalled to nobody; to set this anew signals it (tcp_set_rcvlowat()) */
	if (least > 0)
		raw_setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof(least));
}
