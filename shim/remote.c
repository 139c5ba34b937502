/* SPDX-License-Identifier: MIT */
/*
 * remote.c - the address under which a program sees a peer
 *
 * Whatever path was taken, getpeername() shows the stand-in address and the
 * port that was asked for, so that known_hosts, access lists and logs name the peer.
 */
#include <errno.h>
#include <string.h>

#include "common/standin.h"
#include "shim/env.h"
#include "shim/fdtable.h"
#include "shim/libc.h"
#include "shim/raw.h"
#include "shim/remote.h"
#include "shim/tag.h"

#define ACKNOWLEDGED	(1ull << REMOTE_BITS)
#define NATIVES		4096	/* descriptors; of higher ones each getpeername() asks */

static struct fdtable shown;

/*
 * For each descriptor a hash of the address that it was connected to, or accepted from, last.  A number may have
 * got another socket meanwhile, in ways that nobody hooks (recvmsg(), dup2(), pidfd_getfd()):
 * one of a peer has another address, but for one time in 2^31 (hash()). Not so when the program itself had gone to the
 * relay: each relayed socket has the relay's address and port, and is taken for that one.
 */
static _Atomic(uint32_t) natives[NATIVES];

/* A slot below, then 16 bits of port, then 2 of form: see remote_pack() */
_Static_assert((STANDIN_SLOTS - 1) >> 18 == 0, "a slot has 18 bits");

uint64_t remote_pack(const struct remote *remote)
{
	return (uint64_t)remote->slot | (uint64_t)remote->port << 18 | (uint64_t)remote->form << 34;
}

struct remote remote_unpack(uint64_t value)
{
	struct remote remote = {
		.slot = (uint32_t)value & (STANDIN_SLOTS - 1),
		.port = (uint16_t)(value >> 18),
		.form = (enum remote_form)(value >> 34 & 3),
	};

	return remote;
}

enum remote_form remote_form_of(const struct sockaddr *address, socklen_t size)
{
	struct endpoint ep;

	if (address->sa_family == AF_INET)
		return REMOTE_V4;
	return endpoint_from_sockaddr(&ep, address, size) == 0 && ep.family == AF_INET ? REMOTE_MAPPED : REMOTE_V6;
}

void remote_write(const struct remote *remote, struct sockaddr *address, socklen_t *size)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	int full;

	standin_endpoint(&ep, remote->form == REMOTE_V6 ? AF_INET6 : AF_INET, remote->slot, remote->port);
	full = endpoint_to_sockaddr(&ep, remote->form == REMOTE_V4 ? AF_INET : AF_INET6, &ss);
	memcpy(address, &ss, *size < (socklen_t)full ? *size : (socklen_t)full);
	*size = (socklen_t)full;
}

void remote_put(int fd, const struct remote *remote, bool acknowledged)
{
	fdtable_put(&shown, raw_cookie(fd), remote_pack(remote) | (acknowledged ? ACKNOWLEDGED : 0));
	tag_put(fd, remote->slot);
}

bool remote_any(void)
{
	return !fdtable_empty(&shown);
}

bool remote_get(int fd, struct remote *remote)
{
	uint64_t value;

	if (fdtable_empty(&shown) || !fdtable_get(&shown, raw_cookie(fd), &value))
		return false;
	*remote = remote_unpack(value);
	return true;
}

int remote_acknowledge(int fd)
{
	uint64_t cookie, value;

	if (fdtable_empty(&shown))
		return -ENOENT;
	cookie = raw_cookie(fd);
	if (!fdtable_get(&shown, cookie, &value))
		return -ENOENT;
	if (!(value & ACKNOWLEDGED) && fdtable_change(&shown, cookie, value, value | ACKNOWLEDGED))
		return 0;
	return -EISCONN;
}

void remote_forget(int fd)
{
	if (!fdtable_empty(&shown))
		fdtable_remove(&shown, raw_cookie(fd));
	tag_remove(fd);
}

/* Never 0 */
static uint32_t hash(const struct endpoint *ep)
{
	const uint64_t odd = 0x9e3779b97f4a7c15u;	/* 2^64 / the golden ratio, as Fibonacci hashing has it */
	uint64_t words[2];

	memcpy(words, ep->address, sizeof(words));
	words[0] = (words[0] ^ ep->port) * odd;
	words[0] = (words[0] ^ words[0] >> 32 ^ words[1]) * odd;
	return (uint32_t)(words[0] >> 32) | 1;
}

void remote_native(int fd, const struct sockaddr *address, socklen_t size)
{
	struct endpoint ep;

	if (fd >= 0 && fd < NATIVES && raw_plausible(address))
		atomic_store_explicit(&natives[fd], endpoint_from_sockaddr(&ep, address, size) < 0 ? 0 : hash(&ep),
				      memory_order_relaxed);
}

static bool is_native(int fd, const struct endpoint *ep)
{
	return fd < NATIVES && atomic_load_explicit(&natives[fd], memory_order_relaxed) == hash(ep);
}

socklen_t remote_look(int fd, const struct sockaddr *address, socklen_t given, socklen_t full,
		      struct sockaddr_storage *ss)
{
	socklen_t size = sizeof(*ss);

	if (full <= given && full <= size) {
		memcpy(ss, address, full);
		return full;
	}
	ss->ss_family = AF_UNSPEC;
	return syscall(SYS_getpeername, fd, ss, &size) < 0 ? 0 : size;
}

/* A socket that came through exec(), or from another process. @address: see remote_look() */
static bool is_inherited(int fd, const struct sockaddr *address, socklen_t given, socklen_t full,
			 struct remote *remote)
{
	struct sockaddr_storage ss;
	struct endpoint ep;

	if (env_off())
		return false;
	if (full > given) {
		full = remote_look(fd, address, given, full, &ss);
		address = (struct sockaddr *)&ss;
	}
	if (endpoint_from_sockaddr(&ep, address, full) < 0 || is_native(fd, &ep))
		return false;
	remote->slot = tag_get(fd);
	remote->port = ep.port;
	remote->form = remote_form_of(address, full);
	return remote->slot != 0;
}

/* ENOTCONN, EFAULT, EINVAL are the kernel's to say: it writes to the program's own memory first */
static int getpeername_looked_at(int fd, struct sockaddr *address, socklen_t *size)
{
	int errno_kept = errno, rc;
	struct remote remote;
	socklen_t given;

	given = *size;
	rc = libc_getpeername(fd, address, size);
	if (rc < 0)
		return rc;
	if (remote_get(fd, &remote) || is_inherited(fd, address, given, *size, &remote)) {
		*size = given;
		remote_write(&remote, address, size);
	}
	errno = errno_kept;
	return rc;
}

int remote_getpeername(int fd, struct sockaddr *address, socklen_t *size)
{
	if (!raw_plausible(address) || !raw_plausible(size))
		return libc_getpeername(fd, address, size);
	return getpeername_looked_at(fd, address, size);
}
