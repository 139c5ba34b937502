/* SPDX-License-Identifier: MIT */
/*
 * services.c - which listening sockets of this host's programs are published
 *
 * Theory of operation
 *
 * A program's listen() reaches us with the socket itself.  It is looked at,
 * remembered by its cookie, and closed again: the program's own descriptors decide how
 * long it lives.  A cookie belongs to one socket for as long as the machine runs, over dup,
 * fork and exec, so "is it still there" is one question to the kernel.  It is
 * asked when a peer knocks and, while anything is published, every
 * SERVICES_CHECK, so that a host whose programs have gone stops asking for invitations.
 *
 * One port may have several listeners: workers with SO_REUSEPORT, or one for IPv4 and one for
 * IPv6.  A dual-stack socket is preferred, for it can take a path of either
 * family, then an IPv4 one, then one that is IPv6 only.
 *
 * Another user's program cannot slip under a published port: the kernel lets nobody bind what a
 * listener of another uid holds, and once that is gone its cookie is too.  Who connects to the port asks
 * before, and again when the connection is there (doorbell.c): in between the listener may have ended.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "resolver/holder.h"
#include "resolver/reply.h"
#include "resolver/revoke.h"
#include "resolver/services_internal.h"
#include "resolver/sockdiag.h"
#include "resolver/state.h"
#include "resolver/uplink.h"

#define SERVICES_CHECK_S	5	/* a stopped server is seen as offline soon enough; the dump costs 20 us */

struct services {
	struct node *node;
	struct event *check;
	struct service list[SERVICES_MAX];
	unsigned int count;
};

unsigned int services_count(const struct node *node)
{
	return node->services ? node->services->count : 0;
}

const struct service *services_get(const struct node *node, unsigned int i)
{
	return i < services_count(node) ? &node->services->list[i] : NULL;
}

/* ------------------------------------------------------------ what the kernel says */

struct wanted {
	uint64_t cookie;
	struct sockdiag_socket found;
	bool any;
};

static bool match_cookie(void *arg, const struct sockdiag_socket *socket)
{
	struct wanted *wanted = arg;

	if (socket->cookie != wanted->cookie)
		return true;
	wanted->found = *socket;
	wanted->any = true;
	return false;
}

/* @rc: of sockdiag_listeners() */
static const char *why_not_told(int rc)
{
	if (rc == -EAFNOSUPPORT || rc == -EPERM || rc == -EACCES)
		return "AF_NETLINK is forbidden here: add it to RestrictAddressFamilies= of its unit";
	return rc == -EOPNOTSUPP ? "the module tcp_diag is missing" : strerror(-rc);
}

/* Return: 0 and the kernel's view of the listener, -ENOENT, or -errno when it could not be asked */
static int look_up(const struct service *service, struct sockdiag_socket *found)
{
	struct wanted wanted = { .cookie = service->cookie };
	int rc = sockdiag_listeners(service->listener.port, match_cookie, &wanted);

	if (rc < 0) {
		static struct log_limit limit;

		if (log_limited(&limit))
			log_error("cannot ask the kernel for listening sockets (NETLINK_SOCK_DIAG): %s",
				  why_not_told(rc));
		return rc;
	}
	if (!wanted.any || wanted.found.uid != service->uid ||
	    !endpoint_same_address(&wanted.found.local, &service->listener))
		return -ENOENT;
	*found = wanted.found;
	return 0;
}

bool service_alive(const struct service *service)
{
	struct sockdiag_socket found;

	return look_up(service, &found) == 0;
}

pid_t service_holder(const struct service *service, char *name, size_t size)
{
	struct sockdiag_socket found;

	return look_up(service, &found) == 0 ? holder_find(found.inode, name, size) : 0;
}

/* ------------------------------------------------------------ the table */

static void on_check(evutil_socket_t fd, short what, void *arg);

/* After each change: the disk, the rendezvous, the timer */
static void services_changed(struct node *node, bool received)
{
	const struct timeval period = { .tv_sec = SERVICES_CHECK_S };
	struct services *services = node->services;
	unsigned int i;

	state_save(node);
	if (node_receives(node) != received) {
		for (i = 0; i < node->uplink_count; i++)
			uplink_hello_changed(node->uplinks[i]);
	}
	if (services->count && !event_pending(services->check, EV_TIMEOUT, NULL))
		event_add(services->check, &period);
	else if (!services->count)
		event_del(services->check);
}

static void remove_at(struct services *services, unsigned int i)
{
	char text[ENDPOINT_TEXT_SIZE];

	log_info("service %s: listener %s is gone, no longer published", services->list[i].name,
		 endpoint_format(&services->list[i].listener, text));
	services->list[i] = services->list[--services->count];
}

/* Forget listeners that are gone. @port: only of this one, 0 all */
static void sweep(struct node *node, uint16_t port)
{
	struct services *services = node->services;
	bool received = node_receives(node), changed = false;
	struct sockdiag_socket found;
	unsigned int i = 0;

	while (i < services->count) {
		/* Only a clear "no" counts: the kernel may be short of memory or we of descriptors */
		if ((port && services->list[i].port != port) ||
		    look_up(&services->list[i], &found) != -ENOENT) {
			i++;
			continue;
		}
		remove_at(services, i);
		changed = true;
	}
	if (changed)
		services_changed(node, received);
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;

	(void)fd;
	(void)what;
	sweep(node, 0);
}

/* Name and demands come from the configuration. Return: 0, or -ENOENT when this port is not to be published */
static int take_settings(const struct node *node, struct service *service)
{
	const struct conf_service *conf;

	if (node->quick_mode) {
		if (!node->config.as[0])	/* without a name nobody could call us */
			return -ENOENT;
		snprintf(service->name, sizeof(service->name), "%u", service->port);
		service->encrypt = CONF_ENCRYPT_AUTO;
		return 0;
	}
	conf = conf_service_find(&node->conf, service->port);
	if (!conf)
		return -ENOENT;
	snprintf(service->name, sizeof(service->name), "%s", conf->name);
	service->encrypt = conf->encrypt;
	return 0;
}

/* Add, or renew what is known by the same cookie. Return: 0 or -ENOSPC */
static int put(struct node *node, const struct service *service)
{
	struct services *services = node->services;
	bool received = node_receives(node);
	char text[ENDPOINT_TEXT_SIZE];
	unsigned int i;

	for (i = 0; i < services->count; i++) {
		if (services->list[i].cookie == service->cookie && services->list[i].port == service->port)
			break;
	}
	if (i == services->count) {
		if (services->count == SERVICES_MAX)
			sweep(node, 0);
		if (services->count == SERVICES_MAX)
			return -ENOSPC;
		i = services->count++;
		log_info("service %s: port %u published, listener %s", service->name, service->port,
			 endpoint_format(&service->listener, text));
	}
	services->list[i] = *service;
	services_changed(node, received);
	return 0;
}

int services_restore(struct node *node, const struct service *saved)
{
	struct service service = *saved;
	struct sockdiag_socket found;

	if (take_settings(node, &service) < 0 || look_up(&service, &found) < 0)
		return -ENOENT;
	service.listener = found.local;		/* with the scope, which is not saved */
	service.family = found.family;
	return put(node, &service);
}

/* ------------------------------------------------------------ LOCAL_LISTEN */

static int option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) < 0 ? -1 : value;
}

/* All that is asked of the socket itself. Return: 0 or -errno with @text */
static int examine(int fd, struct service *service, char *text, size_t size)
{
	socklen_t length = sizeof(int);
	int v6only = 0, rc;
	struct stat st = { 0 };

	service->family = option(fd, SO_DOMAIN);
	if ((service->family != AF_INET && service->family != AF_INET6) || option(fd, SO_TYPE) != SOCK_STREAM ||
	    option(fd, SO_PROTOCOL) != IPPROTO_TCP) {
		snprintf(text, size, "only a plain TCP socket can be published (domain %d, type %d, protocol %d)",
			 service->family, option(fd, SO_TYPE), option(fd, SO_PROTOCOL));
		return -EPROTONOSUPPORT;
	}
	if (option(fd, SO_ACCEPTCONN) != 1) {
		snprintf(text, size, "the socket does not listen");
		return -EINVAL;
	}
	if (!sockdiag_is_ours(fd)) {
		snprintf(text, size, "the socket belongs to another network namespace");
		return -EXDEV;
	}
	rc = endpoint_local(fd, &service->listener);
	if (rc == 0)
		rc = sockdiag_cookie(fd, &service->cookie);
	if (rc == 0 && fstat(fd, &st) < 0)
		rc = -errno;
	if (rc < 0) {
		snprintf(text, size, "cannot examine the listening socket: %s", strerror(-rc));
		return rc;
	}
	service->uid = st.st_uid;
	if (service->family == AF_INET6)
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &length);
	service->v6only = v6only != 0;
	return 0;
}

/* @rc: of look_up(), which takes what is not shown for gone */
static void tell_not_seen(const struct service *service, int rc, struct local_reply *reply)
{
	if (rc == -ENOENT)
		reply_fail(reply, EOPNOTSUPP, "the kernel does not show the listener on port %u (NETLINK_SOCK_DIAG)",
			   service->listener.port);
	else
		reply_fail(reply, -rc, "cannot ask the kernel for listening sockets (NETLINK_SOCK_DIAG): %s",
			   why_not_told(rc));
}

void services_listen(struct node *node, int fd, uint16_t port, struct local_reply *reply)
{
	struct sockdiag_socket found;
	struct service service;
	int rc;

	memset(&service, 0, sizeof(service));
	reply->status = LOCAL_FAILED;
	rc = examine(fd, &service, reply->text, sizeof(reply->text));
	if (rc < 0) {
		reply->error = -rc;
		return;
	}
	service.port = port ? port : service.listener.port;
	if (take_settings(node, &service) < 0) {
		reply->status = LOCAL_NOT_OURS;
		reply->error = ENOENT;
		snprintf(reply->text, sizeof(reply->text), "no [service] has port = %u", service.port);
		return;
	}
	rc = look_up(&service, &found);
	if (rc < 0) {
		tell_not_seen(&service, rc, reply);
		return;
	}
	rc = put(node, &service);
	if (rc < 0) {
		reply->error = -rc;
		snprintf(reply->text, sizeof(reply->text), "%d listeners are published already", SERVICES_MAX);
		return;
	}
	reply->status = LOCAL_OK;
}

/* ------------------------------------------------------------ who may come */

static int rank(const struct service *service)
{
	if (service->family == AF_INET6 && !service->v6only)
		return 3;
	return service->family == AF_INET ? 2 : 1;
}

static bool allowed(const struct node *node, uint16_t port, const struct peer *caller)
{
	const struct conf_service *conf;

	if (node->quick_mode)
		return true;	/* whoever knows the word; the session has seen the proof */
	conf = conf_service_find(&node->conf, port);
	if (node->next && !revoke_allows(node->next, caller->key, true, port))
		return false;	/* revoked already, though the rest of the new file waits */
	return conf && conf_service_allows(conf, caller->name);
}

int services_admit(struct node *node, uint16_t port, const struct peer *caller, struct service *service)
{
	const struct services *services = node->services;
	const struct service *best = NULL;
	unsigned int i;

	if (!port || !services)
		return -ENOENT;
	sweep(node, port);
	for (i = 0; i < services->count; i++) {
		if (services->list[i].port == port && (!best || rank(&services->list[i]) >= rank(best)))
			best = &services->list[i];
	}
	if (!best)
		return -ENOENT;
	if (!allowed(node, port, caller))
		return -EACCES;
	*service = *best;
	return 0;
}

struct services *services_new(struct node *node)
{
	struct services *services = calloc(1, sizeof(*services));

	if (!services)
		return NULL;
	services->node = node;
	services->check = event_new(node->base, -1, EV_PERSIST, on_check, node);
	if (!services->check) {
		free(services);
		return NULL;
	}
	return services;
}

void services_free(struct services *services)
{
	if (!services)
		return;
	event_free(services->check);
	free(services);
}
