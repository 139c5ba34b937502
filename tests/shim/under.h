/* SPDX-License-Identifier: MIT */
/*
 * under.h - what the programs that run under the shim have in common
 *
 * They are ordinary programs: they know nothing of punch but names and ports
 * of test peers (see double.c).
 */
#ifndef PUNCH_TEST_UNDER_H
#define PUNCH_TEST_UNDER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DOUBLE_KEEPIDLE 90	/* s: TCP_KEEPIDLE of punched sockets, as the double's (double.c) */
#define LIMIT_MS 5000	/* no single step of a test takes so long */

struct address {
	struct sockaddr_storage ss;
	socklen_t size;
};

__attribute__((unused)) static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A peer's address as the program's resolver gives it */
__attribute__((unused)) static struct address peer(const char *name, int family, uint16_t port)
{
	const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *result;
	struct address address;
	char service[8];

	snprintf(service, sizeof(service), "%u", port);
	assert_int_equal(getaddrinfo(name, service, &hints, &result), 0);
	memcpy(&address.ss, result->ai_addr, result->ai_addrlen);
	address.size = result->ai_addrlen;
	freeaddrinfo(result);
	return address;
}

/* A listener on 127.0.0.1: where all test peers' ports are */
__attribute__((unused)) static int server(uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(in);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, size), 0);
	assert_int_equal(listen(fd, 256), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

__attribute__((unused)) static int join(int fd, const struct address *address)
{
	return connect(fd, (const struct sockaddr *)&address->ss, address->size);
}

__attribute__((noinline, unused)) static int tcp(int family, int flags)
{
	int fd = socket(family, SOCK_STREAM | flags, 0);

	assert_true(fd >= 0);
	return fd;
}

/* Return: revents, 0 when nothing came within LIMIT_MS */
__attribute__((unused)) static short wait_for(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	return poll(&pollfd, 1, LIMIT_MS) == 1 ? pollfd.revents : 0;
}

__attribute__((unused)) static int socket_error(int fd)
{
	int error = -1;
	socklen_t size = sizeof(error);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	assert_int_equal(size, sizeof(error));
	return error;
}

__attribute__((unused)) static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

__attribute__((unused)) static void set_option(int fd, int level, int name, int value)
{
	assert_int_equal(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

/* "239.192.0.101:80" as getpeername() has it, "" when it fails */
__attribute__((unused)) static const char *remote(int fd)
{
	static char text[80];
	char host[64], port[8];
	struct address address = { .size = sizeof(address.ss) };

	if (getpeername(fd, (struct sockaddr *)&address.ss, &address.size) < 0)
		return "";
	assert_int_equal(getnameinfo((struct sockaddr *)&address.ss, address.size, host, sizeof(host), port, sizeof(port),
				     NI_NUMERICHOST | NI_NUMERICSERV), 0);
	snprintf(text, sizeof(text), "%s:%s", host, port);
	return text;
}

/* Descriptors that this process has open */
__attribute__((noinline, unused)) static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* A byte each way between the program's socket and the next connection of @listener. Closes neither @fd nor @listener */
__attribute__((unused)) static void assert_connected(int fd, int listener)
{
	int far;
	char c = 0;

	assert_true(wait_for(listener, POLLIN));
	far = accept(listener, NULL, NULL);
	assert_true(far >= 0);
	assert_int_equal(send(fd, "a", 1, MSG_NOSIGNAL), 1);
	assert_true(wait_for(far, POLLIN) & POLLIN);
	assert_int_equal(read(far, &c, 1), 1);
	assert_int_equal(c, 'a');
	assert_int_equal(send(far, "b", 1, MSG_NOSIGNAL), 1);
	assert_true(wait_for(fd, POLLIN) & POLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'b');
	close(far);
}

#endif
