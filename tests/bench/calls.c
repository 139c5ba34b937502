/* SPDX-License-Identifier: MIT */
/*
 * calls.c - what calls cost that have nothing to do with peers
 *
 *	calls WHAT COUNT
 *
 * Makes COUNT calls of what the shim hooks, on loopback, and prints the nanoseconds of the median block of
 * BLOCK calls, for one call. Only the call in question goes by libc's name; the rest (sockets, the other
 * end) goes straight to the kernel, past every preloaded library, and is not timed.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		50	/* calls timed together: a listener's backlog holds as many */
#define BLOCKS_MOST	10000

static int listener;
static long (*kernel)(long number, ...);	/* libc's own syscall(): torsocks hooks that, too */
static struct sockaddr_in there = { .sin_family = AF_INET, .sin_addr = { 0 } };

static void die(const char *what)
{
	perror(what);
	exit(71);
}

static void find_kernel(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	union {
		void *address;
		long (*call)(long, ...);
	} found = { .address = libc ? dlsym(libc, "syscall") : NULL };

	if (!found.address)
		die("syscall");
	kernel = found.call;
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void open_listener(void)
{
	socklen_t size = sizeof(there);

	there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = (int)kernel(SYS_socket, AF_INET, SOCK_STREAM, 0);
	if (kernel(SYS_bind, listener, &there, sizeof(there)) < 0 ||
	    kernel(SYS_getsockname, listener, &there, &size) < 0 || kernel(SYS_listen, listener, 2 * BLOCK) < 0)
		die("listener");
}

/* Closed by RST: ten thousand connections must not leave as many ports in TIME_WAIT */
static int open_socket(void)
{
	const struct linger linger = { .l_onoff = 1 };
	int fd = (int)kernel(SYS_socket, AF_INET, SOCK_STREAM, 0);

	kernel(SYS_setsockopt, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static double block_connect(void)
{
	int fds[BLOCK], i;
	double begun, took;

	for (i = 0; i < BLOCK; i++)
		fds[i] = open_socket();
	begun = now_ns();
	for (i = 0; i < BLOCK; i++) {
		if (connect(fds[i], (struct sockaddr *)&there, sizeof(there)) < 0)
			die("connect");
	}
	took = now_ns() - begun;
	for (i = 0; i < BLOCK; i++) {
		kernel(SYS_close, fds[i]);
		kernel(SYS_close, (int)kernel(SYS_accept4, listener, NULL, NULL, 0));
	}
	return took;
}

static double block_accept(void)
{
	int fds[BLOCK], accepted[BLOCK], i;
	struct sockaddr_in from;
	double begun, took;

	for (i = 0; i < BLOCK; i++) {
		fds[i] = open_socket();
		if (kernel(SYS_connect, fds[i], &there, sizeof(there)) < 0)
			die("connect");
	}
	begun = now_ns();
	for (i = 0; i < BLOCK; i++) {
		socklen_t size = sizeof(from);

		accepted[i] = accept(listener, (struct sockaddr *)&from, &size);
		if (accepted[i] < 0)
			die("accept");
	}
	took = now_ns() - begun;
	for (i = 0; i < BLOCK; i++) {
		kernel(SYS_close, fds[i]);
		kernel(SYS_close, accepted[i]);
	}
	return took;
}

/* A connected socket, the program's own */
static int connected(void)
{
	static int fd = -1;

	if (fd < 0) {
		fd = open_socket();
		if (connect(fd, (struct sockaddr *)&there, sizeof(there)) < 0)
			die("connect");
	}
	return fd;
}

static double block_getpeername(void)
{
	struct sockaddr_in peer;
	double begun;
	int fd = connected(), i;

	begun = now_ns();
	for (i = 0; i < BLOCK; i++) {
		socklen_t size = sizeof(peer);

		getpeername(fd, (struct sockaddr *)&peer, &size);
	}
	return now_ns() - begun;
}

static double block_getsockopt(void)
{
	int fd = connected(), i, value;
	double begun;

	begun = now_ns();
	for (i = 0; i < BLOCK; i++) {
		socklen_t size = sizeof(value);

		getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size);
	}
	return now_ns() - begun;
}

static double block_setsockopt(void)
{
	int fd = connected(), i, value = 1;
	double begun;

	begun = now_ns();
	for (i = 0; i < BLOCK; i++)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
	return now_ns() - begun;
}

static double look_up(const char *name, int flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET, .ai_flags = flags }, *result;
	double begun;
	int i;

	begun = now_ns();
	for (i = 0; i < BLOCK; i++) {
		if (getaddrinfo(name, "80", &hints, &result) != 0)
			die(name);
		freeaddrinfo(result);
	}
	return now_ns() - begun;
}

static double block_numeric(void)
{
	return look_up("192.0.2.1", 0);
}

static double block_hosts(void)
{
	return look_up("localhost", 0);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; double (*block)(void); } all[] = {
		{ "connect", block_connect }, { "accept", block_accept }, { "getpeername", block_getpeername },
		{ "getsockopt", block_getsockopt }, { "setsockopt", block_setsockopt },
		{ "numeric", block_numeric }, { "hosts", block_hosts },
	};
	static double took[BLOCKS_MOST];
	int blocks = argc == 3 ? atoi(argv[2]) / BLOCK : 0, n;
	size_t i;

	if (blocks < 1 || blocks > BLOCKS_MOST)
		return 64;
	find_kernel();
	open_listener();
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(argv[1], all[i].name) != 0)
			continue;
		all[i].block();		/* whatever happens at the first call */
		for (n = 0; n < blocks; n++)
			took[n] = all[i].block();
		qsort(took, (size_t)blocks, sizeof(took[0]), compare);
		printf("%.1f\n", took[blocks / 2] / BLOCK);
		return 0;
	}
	return 64;
}
