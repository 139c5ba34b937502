/* SPDX-License-Identifier: MIT */
/*
 * send.c - data and connect() in one call, and datagrams
 *
 * MSG_FASTOPEN is a connect() with data: connected first, sent then.  A
 * datagram to a stand-in address would leave the host as multicast: refused.
 *
 * And a program's first word to a peer, which may come without any question before: haproxy
 * believes what poll() says.  Then this is the call that claims the peer's socket.
 */
#include <errno.h>

#include <sys/uio.h>

#include "common/standin.h"
#include "shim/config.h"
#include "shim/dial.h"
#include "shim/libc.h"
#include "shim/pending.h"
#include "shim/raw.h"
#include "shim/send.h"

#ifndef UIO_MAXIOV
#define UIO_MAXIOV	1024	/* most messages that one sendmmsg() looks at, whatever it is given */
#endif

enum verdict {
	VERDICT_NATIVE,		/* as the program has it */
	VERDICT_CONNECT,	/* connect first */
	VERDICT_REFUSE,
};

static enum verdict judge(int fd, int flags, const struct sockaddr *address, socklen_t size)
{
	enum verdict verdict = VERDICT_NATIVE;
	struct guard guard;

	if (!config_get() || !raw_plausible(address))
		return VERDICT_NATIVE;
	if (flags & MSG_FASTOPEN)
		return VERDICT_CONNECT;		/* whose address it is connect() finds out */
	if (!standin_is_sockaddr(address, size))
		return VERDICT_NATIVE;
	guard_enter(&guard);
	if (raw_sockopt_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
		verdict = VERDICT_REFUSE;
	guard_leave(&guard);
	return verdict;
}

static bool is_peer(const struct sockaddr *address, socklen_t size)
{
	const struct config *config = config_get();
	struct endpoint ep;

	if (!config || !raw_plausible(address) || endpoint_from_sockaddr(&ep, address, size) < 0)
		return false;
	return standin_slot(&ep) || config_owns_address(config, &ep);
}

/* Return: false, with errno, when the connection has failed */
static bool is_connected(int fd)
{
	enum pending_answer answer;
	struct guard guard;
	int error = 0;

	if (!pending_may_be(fd))
		return true;
	guard_enter(&guard);
	answer = pending_settle(fd, "send()", &error);
	if (answer == PENDING_FAILED)
		pending_forget(fd);
	guard_leave(&guard);
	if (answer == PENDING_FAILED)
		errno = error;
	return answer != PENDING_FAILED;
}

ssize_t send_data(int fd, const void *data, size_t count, int flags)
{
	return is_connected(fd) ? libc_send(fd, data, count, flags) : -1;
}

ssize_t send_to(int fd, const void *data, size_t count, int flags, const struct sockaddr *address, socklen_t size)
{
	enum verdict verdict = judge(fd, flags, address, size);

	if (verdict == VERDICT_REFUSE) {
		errno = ENETUNREACH;
		return -1;
	}
	if (verdict == VERDICT_NATIVE || !is_peer(address, size))
		return is_connected(fd) ? libc_sendto(fd, data, count, flags, address, size) : -1;
	if (dial_connect(fd, address, size) < 0)
		return -1;
	return libc_sendto(fd, data, count, flags & ~MSG_FASTOPEN, NULL, 0);
}

ssize_t send_message(int fd, const struct msghdr *message, int flags)
{
	bool readable = raw_plausible(message);
	const struct sockaddr *address = readable ? message->msg_name : NULL;
	socklen_t size = readable ? message->msg_namelen : 0;
	enum verdict verdict = judge(fd, flags, address, size);
	struct msghdr nameless;

	if (verdict == VERDICT_REFUSE) {
		errno = ENETUNREACH;
		return -1;
	}
	if (verdict == VERDICT_NATIVE || !is_peer(address, size))
		return is_connected(fd) ? libc_sendmsg(fd, message, flags) : -1;
	if (dial_connect(fd, address, size) < 0)
		return -1;
	nameless = *message;
	nameless.msg_name = NULL;
	nameless.msg_namelen = 0;
	return libc_sendmsg(fd, &nameless, flags & ~MSG_FASTOPEN);
}

/* Return: how many of the first @count messages may be sent as they are */
static unsigned int count_harmless(int fd, const struct mmsghdr *messages, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct msghdr *message = &messages[i].msg_hdr;

		if (judge(fd, 0, message->msg_name, message->msg_namelen) == VERDICT_REFUSE)
			break;
	}
	return i;
}

int send_messages(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	unsigned int most = count < UIO_MAXIOV ? count : UIO_MAXIOV, harmless;

	if (!config_get() || !most || !raw_plausible(messages))
		return is_connected(fd) ? libc_sendmmsg(fd, messages, count, flags) : -1;
	harmless = count_harmless(fd, messages, most);
	if (!harmless) {
		errno = ENETUNREACH;
		return -1;
	}
	if ((flags & MSG_FASTOPEN) && is_peer(messages->msg_hdr.msg_name, messages->msg_hdr.msg_namelen)) {
		if (dial_connect(fd, messages->msg_hdr.msg_name, messages->msg_hdr.msg_namelen) < 0)
			return -1;
		flags &= ~MSG_FASTOPEN;		/* a connected TCP socket does not look at the name */
	}
	if (!is_connected(fd))
		return -1;
	return libc_sendmmsg(fd, messages, harmless < most ? harmless : count, flags);	/* those before it are sent */
}
