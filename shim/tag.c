/* SPDX-License-Identifier: MIT */
/*
 * tag.c - a peer's slot, written on the kernel socket itself
 *
 * What a process remembers is gone after exec(), and a socket passed to another process is unknown there:
 * sshd executes itself for each client, inetd executes the server.  There
 * getpeername() would show the far side's public address, or the relay's, and with it
 * access lists and fail2ban.  So the slot travels with the socket.
 *
 * It is written in TCP_NOTSENT_LOWAT: a limit in bytes on unsent data whose
 * default, in effect, is 2^32 - 1.  Everything from 2^32 - 2^18 up means the same as that,
 * for no send buffer is so large, which leaves 18 bits: those of a slot.
 * Where the program has set it, or the system has another default
 * (net.ipv4.tcp_notsent_lowat), it is left alone.
 */
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>

#include "common/standin.h"
#include "shim/raw.h"
#include "shim/tag.h"

#define NAME_TCP_NOTSENT_LOWAT	25	/* linux/tcp.h; missing in some libcs' headers */
#define MARK			(UINT32_MAX - (STANDIN_SLOTS - 1))	/* 2^32 - 2^18 */
#define SYSTEM_DEFAULT		"/proc/sys/net/ipv4/tcp_notsent_lowat"
#define NO_LIMIT		"4294967295"

enum { UNKNOWN, USABLE, UNUSABLE };

static bool is_usable(void)
{
	static _Atomic(int) known;
	char text[sizeof(NO_LIMIT)] = "";
	int state = atomic_load_explicit(&known, memory_order_relaxed), fd;
	long n;

	if (state != UNKNOWN)
		return state == USABLE;
	fd = raw_open(SYSTEM_DEFAULT, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = raw_read(fd, text, sizeof(text) - 1);
	raw_close(fd);
	state = n == sizeof(NO_LIMIT) - 1 && strcmp(text, NO_LIMIT) == 0 ? USABLE : UNUSABLE;
	atomic_store_explicit(&known, state, memory_order_relaxed);
	return state == USABLE;
}

void tag_put(int fd, uint32_t slot)
{
	uint32_t value = MARK | slot;

	if (slot && raw_sockopt_int(fd, IPPROTO_TCP, NAME_TCP_NOTSENT_LOWAT) == 0 && is_usable())
		raw_setsockopt(fd, IPPROTO_TCP, NAME_TCP_NOTSENT_LOWAT, &value, sizeof(value));
}

void tag_remove(int fd)
{
	uint32_t value = 0;

	if (tag_get(fd))
		raw_setsockopt(fd, IPPROTO_TCP, NAME_TCP_NOTSENT_LOWAT, &value, sizeof(value));
}

uint32_t tag_get(int fd)
{
	uint32_t value = 0, slot;
	socklen_t size = sizeof(value);

	if (raw_getsockopt(fd, IPPROTO_TCP, NAME_TCP_NOTSENT_LOWAT, &value, &size) < 0 || (value & MARK) != MARK)
		return 0;
	slot = value & (STANDIN_SLOTS - 1);
	return slot <= STANDIN_SLOTS - 2 ? slot : 0;	/* the highest one would be the default itself */
}
