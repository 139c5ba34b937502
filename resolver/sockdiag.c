/* SPDX-License-Identifier: MIT */
/*
 * sockdiag.c - ask the kernel for TCP sockets by NETLINK_SOCK_DIAG (sock_diag(7))
 *
 * A socket is opened for each question: it costs 3 us, and a stale answer of
 * an earlier question can never be taken for the present one's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "resolver/sockdiag.h"

/* The kernel answers within the send; this only keeps a broken one from stopping the loop */
#define DIAG_WAIT_S	1

#define DIAG_BUFFER	32768	/* bytes: netlink dumps come in packets of at most this size */

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE	71	/* Linux 5.14 */
#endif

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 body;
};

/* TCP_LISTEN of netinet/tcp.h, which cannot stand beside linux/tcp.h; that one has the byte counters */
#define STATE_LISTEN	10

/* How far TCP_INFO must reach for the counters (Linux 4.19) */
#define INFO_COUNTERS_END \
	(offsetof(struct tcp_info, tcpi_bytes_retrans) + sizeof(((struct tcp_info *)0)->tcpi_bytes_retrans))

static int diag_open(void)
{
	const struct timeval wait = { .tv_sec = DIAG_WAIT_S };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

static int diag_ask(int fd, const struct question *question)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	while (sendto(fd, question, sizeof(*question), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* IPv4 also where it comes v4-mapped */
static void endpoint_of(struct endpoint *ep, int family, const __be32 address[4], __be16 port, uint32_t scope)
{
	struct in6_addr in6;

	memset(ep, 0, sizeof(*ep));
	ep->port = ntohs(port);
	memcpy(&in6, address, sizeof(in6));
	if (family == AF_INET) {
		ep->family = AF_INET;
		memcpy(ep->address, address, 4);
	} else if (IN6_IS_ADDR_V4MAPPED(&in6)) {
		ep->family = AF_INET;
		memcpy(ep->address, in6.s6_addr + 12, 4);
	} else {
		ep->family = AF_INET6;
		memcpy(ep->address, &in6, 16);
		if (IN6_IS_ADDR_LINKLOCAL(&in6))
			ep->scope = scope;
	}
}

static void take_info(struct sockdiag_socket *socket, const void *data, size_t size)
{
	struct tcp_info info;

	if (size < INFO_COUNTERS_END)
		return;
	memset(&info, 0, sizeof(info));
	memcpy(&info, data, size < sizeof(info) ? size : sizeof(info));
	socket->bytes_in = info.tcpi_bytes_received;
	socket->bytes_out = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
}

static int take_socket(const struct nlmsghdr *header, struct sockdiag_socket *socket)
{
	const struct inet_diag_msg *msg = NLMSG_DATA(header);
	const unsigned char *at = (const unsigned char *)msg + NLMSG_ALIGN(sizeof(*msg));
	struct rtattr attr;
	size_t left;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*msg)))
		return -EBADMSG;
	memset(socket, 0, sizeof(*socket));
	socket->family = msg->idiag_family;
	socket->state = msg->idiag_state;
	socket->uid = msg->idiag_uid;
	socket->inode = msg->idiag_inode;
	socket->cookie = (uint64_t)msg->id.idiag_cookie[1] << 32 | msg->id.idiag_cookie[0];
	endpoint_of(&socket->local, msg->idiag_family, msg->id.idiag_src, msg->id.idiag_sport, msg->id.idiag_if);
	endpoint_of(&socket->remote, msg->idiag_family, msg->id.idiag_dst, msg->id.idiag_dport, msg->id.idiag_if);
	left = header->nlmsg_len - NLMSG_LENGTH(0);
	left = left > NLMSG_ALIGN(sizeof(*msg)) ? left - NLMSG_ALIGN(sizeof(*msg)) : 0;
	while (left >= sizeof(attr)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > left)
			break;
		if (attr.rta_type == INET_DIAG_INFO)
			take_info(socket, at + RTA_LENGTH(0), attr.rta_len - RTA_LENGTH(0));
		if (RTA_ALIGN(attr.rta_len) >= left)
			break;
		at += RTA_ALIGN(attr.rta_len);
		left -= RTA_ALIGN(attr.rta_len);
	}
	return 0;
}

/* One packet of answers. Return: 1 the end, 0 go on, -errno */
static int take_packet(unsigned char *data, size_t size, sockdiag_seen *seen, void *arg)
{
	struct nlmsghdr *header = (struct nlmsghdr *)(void *)data;
	struct sockdiag_socket socket;
	unsigned int left = (unsigned int)size;
	const struct nlmsgerr *error;

	for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return 1;
		if (header->nlmsg_type == NLMSG_ERROR) {
			error = NLMSG_DATA(header);
			if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
				return -EBADMSG;
			return error->error ? error->error : 1;
		}
		if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY)
			continue;
		if (take_socket(header, &socket) == 0 && !seen(arg, &socket))
			return 1;
		if (!(header->nlmsg_flags & NLM_F_MULTI))
			return 1;
	}
	return 0;
}

static int diag_read(int fd, sockdiag_seen *seen, void *arg)
{
	_Alignas(struct nlmsghdr) unsigned char data[DIAG_BUFFER];
	ssize_t n;
	int rc;

	for (;;) {
		n = recv(fd, data, sizeof(data), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		rc = take_packet(data, (size_t)n, seen, arg);
		if (rc)
			return rc < 0 ? rc : 0;
	}
}

static void question_init(struct question *question, int family, uint16_t flags)
{
	memset(question, 0, sizeof(*question));
	question->header.nlmsg_len = sizeof(*question);
	question->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	question->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	question->body.sdiag_family = (uint8_t)family;
	question->body.sdiag_protocol = IPPROTO_TCP;
	question->body.id.idiag_cookie[0] = INET_DIAG_NOCOOKIE;
	question->body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

static int diag_run(const struct question *question, sockdiag_seen *seen, void *arg)
{
	int fd = diag_open(), rc;

	if (fd < 0)
		return fd;
	rc = diag_ask(fd, question);
	if (rc == 0)
		rc = diag_read(fd, seen, arg);
	close(fd);
	return rc;
}

struct port_filter {
	uint16_t port;
	sockdiag_seen *seen;
	void *arg;
	bool more;
};

static bool filter_port(void *arg, const struct sockdiag_socket *socket)
{
	struct port_filter *filter = arg;

	/* The port in the question is only a hint to the kernel: checked here */
	if (socket->state == STATE_LISTEN && socket->local.port == filter->port)
		filter->more = filter->seen(filter->arg, socket);
	return filter->more;
}

int sockdiag_listeners(uint16_t port, sockdiag_seen *seen, void *arg)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct port_filter filter = { .port = port, .seen = seen, .arg = arg, .more = true };
	struct question question;
	unsigned int i;
	int rc;

	for (i = 0; i < sizeof(families) / sizeof(families[0]) && filter.more; i++) {
		question_init(&question, families[i], NLM_F_DUMP);
		question.body.idiag_states = 1u << STATE_LISTEN;
		question.body.id.idiag_sport = htons(port);
		rc = diag_run(&question, filter_port, &filter);
		if (rc == -ENOENT)
			rc = -EOPNOTSUPP;	/* for a dump it means: no such protocol handler */
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct found {
	struct sockdiag_socket *out;
	bool any;
};

static bool keep_one(void *arg, const struct sockdiag_socket *socket)
{
	struct found *found = arg;

	*found->out = *socket;
	found->any = true;
	return false;
}

static void question_ends(struct question *question, const struct endpoint *local, const struct endpoint *remote)
{
	question->body.idiag_states = ~0u;
	question->body.id.idiag_sport = htons(local->port);
	question->body.id.idiag_dport = htons(remote->port);
	memcpy(question->body.id.idiag_src, local->address, 16);
	memcpy(question->body.id.idiag_dst, remote->address, 16);
	question->body.id.idiag_if = remote->scope ? remote->scope : local->scope;
}

int sockdiag_find(const struct endpoint *local, const struct endpoint *remote, struct sockdiag_socket *socket)
{
	struct found found = { .out = socket };
	struct question question;
	int rc;

	if (local->family != remote->family || (local->family != AF_INET && local->family != AF_INET6))
		return -EAFNOSUPPORT;
	question_init(&question, local->family, 0);
	question_ends(&question, local, remote);
	question.body.idiag_ext = 1u << (INET_DIAG_INFO - 1);
	rc = diag_run(&question, keep_one, &found);
	if (rc < 0)
		return rc;
	/* Where the four-tuple is unknown the kernel offers a listener on the port instead */
	if (!found.any || socket->remote.port != remote->port || !endpoint_same_address(&socket->remote, remote))
		return -ENOENT;
	return 0;
}

/* A destroyed socket is not shown, only an error code */
static bool pass_over(void *arg, const struct sockdiag_socket *socket)
{
	(void)arg;
	(void)socket;
	return true;
}

int sockdiag_destroy(const struct endpoint *local, const struct endpoint *remote, uint64_t cookie)
{
	struct question question;

	if (!cookie || local->family != remote->family || (local->family != AF_INET && local->family != AF_INET6))
		return -EAFNOSUPPORT;
	question_init(&question, local->family, NLM_F_ACK);
	question.header.nlmsg_type = SOCK_DESTROY;
	question_ends(&question, local, remote);
	question.body.id.idiag_cookie[0] = (uint32_t)cookie;
	question.body.id.idiag_cookie[1] = (uint32_t)(cookie >> 32);
	return diag_run(&question, pass_over, NULL);
}

int sockdiag_cookie(int fd, uint64_t *cookie)
{
	socklen_t size = sizeof(*cookie);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size) < 0)
		return -errno;
	return 0;
}

bool sockdiag_same_network(int fd, int other)
{
	uint64_t cookie = 0, others = 1;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 &&
	       getsockopt(other, SOL_SOCKET, SO_NETNS_COOKIE, &others, &size) == 0 && cookie == others;
}

bool sockdiag_is_ours(int fd)
{
	int own = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool same;

	if (own < 0)
		return false;
	same = sockdiag_same_network(fd, own);
	close(own);
	return same;
}
