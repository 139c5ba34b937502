/* SPDX-License-Identifier: MIT */
/*
 * hops.c - how many hops away is the outermost NAT?
 *
 * Theory of operation
 *
 * A SYN with TTL n is answered by the n-th router with ICMP time-exceeded.
 * With IP_RECVERR the kernel puts the router's address into the socket's
 * error queue (unprivileged).  Routers inside NATs have private
 * addresses (RFC 1918, or RFC 6598 for a carrier's), so the first router with a public one
 * is just outside the outermost NAT.  All TTLs are tried at once: this costs
 * one round trip to the farthest of them, and a few SYNs that reach the probe port.
 *
 * An opener's SYN with TTL hops + 1 then leaves the outermost NAT and dies at that
 * public router.  Where the target itself answers before a public router
 * does, there is no room for such a SYN: the result is 0.
 */
#include "resolver/hops.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/syn.h"

/* A router answers within its round trip; slow ones rate-limit ICMP and would be no help */
static const struct timeval patience = { .tv_sec = 0, .tv_usec = 800000 };

struct hops_probe {
	struct hops *hops;
	int fd;
	struct event *event;
	unsigned int ttl;
};

struct hops {
	struct hops_probe probes[HOPS_MAX];
	struct endpoint routers[HOPS_MAX];
	unsigned int reached;
	unsigned int open;		/* probes without an answer */
	struct event *timer;
	hops_done *done;
	void *arg;
};

unsigned int hops_judge(const struct endpoint *routers, unsigned int count, unsigned int reached)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (reached && i + 1 >= reached)
			return 0;
		if (routers[i].family && !endpoint_is_private(&routers[i]))
			return i;
	}
	return 0;
}

static void probe_close(struct hops_probe *probe)
{
	if (probe->event)
		event_free(probe->event);
	probe->event = NULL;
	if (probe->fd >= 0)
		close(probe->fd);
	probe->fd = -1;
}

static void hops_free(struct hops *hops)
{
	unsigned int i;

	for (i = 0; i < HOPS_MAX; i++)
		probe_close(&hops->probes[i]);
	if (hops->timer)
		event_free(hops->timer);
	free(hops);
}

void hops_cancel(struct hops *hops)
{
	if (hops)
		hops_free(hops);
}

static void hops_finish(struct hops *hops)
{
	unsigned int result = hops_judge(hops->routers, HOPS_MAX, hops->reached);
	hops_done *done = hops->done;
	void *arg = hops->arg;

	hops_free(hops);
	done(arg, result);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	hops_finish(arg);
}

/* The router's address out of the error queue; family 0 when there is none */
static void read_offender(int fd, struct endpoint *router)
{
	char control[512], payload[64];
	struct sockaddr_in from;
	struct iovec iov = { payload, sizeof(payload) };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	memset(router, 0, sizeof(*router));
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct sock_extended_err ee;
		struct sockaddr_in offender;

		if (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR ||
		    c->cmsg_len < CMSG_LEN(sizeof(ee) + sizeof(offender)))
			continue;
		memcpy(&ee, CMSG_DATA(c), sizeof(ee));
		memcpy(&offender, CMSG_DATA(c) + sizeof(ee), sizeof(offender));
		if (ee.ee_origin == SO_EE_ORIGIN_ICMP && ee.ee_type == ICMP_TIME_EXCEEDED &&
		    offender.sin_family == AF_INET)
			endpoint_from_sockaddr(router, (struct sockaddr *)&offender, sizeof(offender));
	}
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
	struct hops_probe *probe = arg;
	struct hops *hops = probe->hops;
	struct endpoint router;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	read_offender(fd, &router);
	if (router.family)
		hops->routers[probe->ttl - 1] = router;
	else if (!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && !error &&
		 (!hops->reached || probe->ttl < hops->reached))
		hops->reached = probe->ttl;
	probe_close(probe);
	if (!--hops->open)
		event_active(hops->timer, EV_TIMEOUT, 0);
}

static int probe_start(struct hops *hops, struct event_base *base, unsigned int ttl,
		       const struct endpoint *target)
{
	struct hops_probe *probe = &hops->probes[ttl - 1];
	int on = 1, value = (int)ttl, err;

	probe->ttl = ttl;
	probe->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe->fd < 0)
		return -errno;
	if (setsockopt(probe->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on)) ||
	    setsockopt(probe->fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)))
		err = -errno;
	else
		err = syn_connect(probe->fd, AF_INET, target);
	if (err) {
		probe_close(probe);
		return err;
	}
	probe->event = event_new(base, probe->fd, EV_READ | EV_WRITE, on_probe, probe);
	if (!probe->event || event_add(probe->event, NULL)) {
		probe_close(probe);
		return -ENOMEM;
	}
	hops->open++;
	return 0;
}

struct hops *hops_start(struct event_base *base, const struct endpoint *target, hops_done *done, void *arg)
{
	struct hops *hops = calloc(1, sizeof(*hops));
	unsigned int i;

	if (!hops)
		return NULL;
	hops->done = done;
	hops->arg = arg;
	for (i = 0; i < HOPS_MAX; i++) {
		hops->probes[i].hops = hops;
		hops->probes[i].fd = -1;
	}
	for (i = 1; i <= HOPS_MAX; i++)
		probe_start(hops, base, i, target);
	hops->timer = event_new(base, -1, 0, on_timer, hops);
	if (!hops->timer || !hops->open || event_add(hops->timer, &patience)) {
		hops_free(hops);
		return NULL;
	}
	return hops;
}
