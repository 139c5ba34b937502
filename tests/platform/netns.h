/* SPDX-License-Identifier: MIT */
/*
 * Network namespaces for the tests of kernel facts: a private one with loopback, and a second one
 * behind a veth pair. Works as root and, where user namespaces are allowed, without.
 */
#ifndef PLATFORM_NETNS_H
#define PLATFORM_NETNS_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* cmocka.h needs what stands above to be included first */
#include <setjmp.h>

#include <cmocka.h>

#define WAIT_MS 5000 /* bound of every wait: much more than any of them takes */

/* Not every test uses every helper. */
#define HELPER __attribute__((unused)) static

/* Run a shell command that must work. */
HELPER void ns_sh(const char *command)
{
	if (system(command) != 0)
		fail_msg("\"%s\" failed", command);
}

static void ns_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			print_message("# %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

/* Leave for a network namespace of our own, loopback up. A machine that forbids it: SKIP. */
HELPER void ns_begin(const char *test)
{
	int flags = CLONE_NEWNET | (geteuid() ? CLONE_NEWUSER : 0);
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(flags)) {
		printf("SKIP %s: no network namespace: %s\n", test, strerror(errno));
		exit(77);
	}
	if (flags & CLONE_NEWUSER) {
		ns_write("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		ns_write("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		ns_write("/proc/self/gid_map", map);
	}
	if (system("ip link set lo up") != 0) {
		printf("SKIP %s: ip from iproute2 does not work here\n", test);
		exit(77);
	}
}

/* Go to the namespace @fd. */
HELPER void ns_go(int fd)
{
	assert_int_equal(setns(fd, CLONE_NEWNET), 0);
}

/*
 * A second namespace: here 10.0.0.1, there 10.0.0.2 and a router for everything else.
 * Descriptors of both; children inherit them, so that ip can name them.
 */
HELPER void ns_pair(int *here, int *there)
{
	char command[128];

	*here = open("/proc/self/ns/net", O_RDONLY);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	*there = open("/proc/self/ns/net", O_RDONLY);
	ns_go(*here);
	snprintf(command, sizeof(command), "ip link add veth0 type veth peer name veth1 netns /proc/self/fd/%d", *there);
	ns_sh(command);
	ns_sh("ip addr add 10.0.0.1/24 dev veth0 && ip link set veth0 up && ip route add default via 10.0.0.2");
	ns_go(*there);
	ns_sh("ip link set lo up && ip addr add 10.0.0.2/24 dev veth1 && ip link set veth1 up");
	ns_sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv4/icmp_ratelimit");
	ns_go(*here);
}

HELPER struct sockaddr_in addr_of(const char *ip, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	assert_int_equal(inet_pton(AF_INET, ip, &a.sin_addr), 1);
	return a;
}

HELPER void set_opt(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

/* A non-blocking TCP socket bound to @ip and @port, shareable. */
HELPER int tcp_bound(const char *ip, uint16_t port)
{
	struct sockaddr_in a = addr_of(ip, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	set_opt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_opt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* connect(); 0 or the errno. */
HELPER int tcp_connect(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in a = addr_of(ip, port);

	return connect(fd, (const struct sockaddr *)&a, sizeof(a)) ? errno : 0;
}

/* Wait for @events; false on timeout. */
HELPER bool tcp_wait(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, WAIT_MS) == 1;
}

HELPER int tcp_error(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len), 0);
	return err;
}

HELPER int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_state;
}

HELPER uint16_t tcp_port(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	return ntohs(a.sin_port);
}

/* A counter of /proc/net/snmp, e.g. Icmp InTimeExcds, in the present namespace; -1 if it has none. */
HELPER long snmp_counter(const char *group, const char *name)
{
	char head[2048], values[2048], *h, *v, *hs, *vs;
	FILE *f = fopen("/proc/thread-self/net/snmp", "re");
	size_t len = strlen(group);
	long found = -1;

	assert_non_null(f);
	while (found < 0 && fgets(head, sizeof(head), f) && fgets(values, sizeof(values), f)) {
		if (strncmp(head, group, len) || head[len] != ':')
			continue;
		for (h = strtok_r(head, " \n", &hs), v = strtok_r(values, " \n", &vs); h && v;
		     h = strtok_r(NULL, " \n", &hs), v = strtok_r(NULL, " \n", &vs))
			if (!strcmp(h, name))
				found = strtol(v, NULL, 10);
	}
	fclose(f);
	return found;
}

/* Wait until the counter is at least @least; false on timeout. */
HELPER bool snmp_wait(const char *group, const char *name, long least)
{
	const struct timespec nap = { .tv_nsec = 5000000 };
	int tries;

	for (tries = 0; tries < WAIT_MS / 5; tries++) {
		if (snmp_counter(group, name) >= least)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

#endif
