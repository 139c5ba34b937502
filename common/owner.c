/* SPDX-License-Identifier: MIT */
/*
 * owner.c - whose socket listens at an abstract name, without connecting to it (NETLINK_SOCK_DIAG)
 *
 * Linked into the shim: system calls go straight to the kernel, for the libc names are the shim's own hooks.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/owner.h"

#define OWNER_BUFFER	16384	/* bytes: what a dump's packets have at most */
#define OWNER_WAIT_S	1	/* the kernel answers within the call */
#define STATE_LISTEN	10	/* TCP_LISTEN of netinet/tcp.h: Unix sockets have the same */

#ifndef UDIAG_SHOW_UID
#define UDIAG_SHOW_UID	0x40	/* Linux 5.3 */
#define UNIX_DIAG_UID	7
#endif

struct question {
	struct nlmsghdr header;
	struct unix_diag_req body;
};

/* Is it the socket of that name, and whose? Return: true when both are told */
static bool is_it(struct nlmsghdr *header, const struct sockaddr_un *sun, size_t size, uid_t *uid)
{
	const unsigned char *at = (const unsigned char *)header + NLMSG_LENGTH(sizeof(struct unix_diag_msg));
	size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(struct unix_diag_msg));
	bool named = false, owned = false;
	struct rtattr attr;

	size -= offsetof(struct sockaddr_un, sun_path);
	while (left >= sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > left)
			break;
		if (attr.rta_type == UNIX_DIAG_NAME)
			named = attr.rta_len == RTA_LENGTH(size) &&
				memcmp(at + RTA_LENGTH(0), sun->sun_path, size) == 0;
		if (attr.rta_type == UNIX_DIAG_UID && attr.rta_len == RTA_LENGTH(sizeof(*uid)) && !owned) {
			memcpy(uid, at + RTA_LENGTH(0), sizeof(*uid));
			owned = true;
		}
		if (RTA_ALIGN(attr.rta_len) >= left)
			break;
		at += RTA_ALIGN(attr.rta_len);
		left -= RTA_ALIGN(attr.rta_len);
	}
	return named && owned;
}

static int read_answer(int fd, const struct sockaddr_un *sun, size_t size, uid_t *uid)
{
	_Alignas(struct nlmsghdr) unsigned char data[OWNER_BUFFER];
	struct nlmsghdr *header;
	unsigned int left;
	long n;

	for (;;) {
		n = syscall(SYS_recvfrom, fd, data, sizeof(data), 0, NULL, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EPROTO;
		left = (unsigned int)n;
		header = (struct nlmsghdr *)(void *)data;
		for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
			if (header->nlmsg_type == NLMSG_DONE)
				return -ENOENT;
			if (header->nlmsg_type == NLMSG_ERROR)
				return -EOPNOTSUPP;
			if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct unix_diag_msg)) &&
			    is_it(header, sun, size, uid))
				return 0;
		}
	}
}

int owner_of(const struct sockaddr_un *sun, size_t size, uid_t *uid)
{
	const struct timeval wait = { .tv_sec = OWNER_WAIT_S };
	struct question question;
	int saved = errno, rc;
	long fd;

	memset(&question, 0, sizeof(question));
	question.header.nlmsg_len = sizeof(question);
	question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	question.body.sdiag_family = AF_UNIX;
	question.body.udiag_states = 1u << STATE_LISTEN;
	question.body.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_UID;
	fd = syscall(SYS_socket, AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0) {
		rc = -errno;
	} else {
		syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		rc = syscall(SYS_sendto, fd, &question, sizeof(question), 0, NULL, 0) < 0 ? -errno :
		     read_answer((int)fd, sun, size, uid);
		syscall(SYS_close, fd);
	}
	errno = saved;
	return rc;
}
