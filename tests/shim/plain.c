/* SPDX-License-Identifier: MIT */
/*
 * plain.c - a program that has nothing to do with peers
 *
 * Does one of everything that the shim hooks, twice, between calls of
 * sched_yield() that mark the two rounds in strace's output.  The first round may load
 * the configuration; the second must look the same with and without the shim.
 * Arguments: none; "names" to look up NAMES (blank separated) only; "late", NAMES to do so after a connect()
 * with no descriptor left; or "beside" to do all that while a connection to the peer NAME, PORT is open.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static void tcp_round(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct iovec iov = { .iov_base = (char[]){ "m" }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	socklen_t size = sizeof(in), int_size = sizeof(int);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0), value = 1, i;

	bind(listener, (struct sockaddr *)&in, sizeof(in));
	getsockname(listener, (struct sockaddr *)&in, &size);
	listen(listener, 4);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
	errno = 4711;
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || errno != 4711)
		abort();
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &int_size);
	getpeername(fd, (struct sockaddr *)&in, &size);
	sendto(fd, "s", 1, 0, NULL, 0);
	sendmsg(fd, &message, 0);
	if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 || errno != EISCONN)
		abort();
	errno = 4711;
	i = accept(listener, NULL, NULL);
	if (i < 0 || errno != 4711)
		abort();
	close(i);
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	connect(fd, (struct sockaddr *)&in, sizeof(in));
	size = sizeof(in);
	i = accept4(listener, (struct sockaddr *)&in, &size, SOCK_CLOEXEC);
	if (i < 0 || size != sizeof(in) || in.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		abort();
	close(i);
	close(fd);
	close(listener);
}

static void other_round(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/nonexistent/socket" };
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV }, *result;
	int udp = socket(AF_INET, SOCK_DGRAM, 0), unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char host[64];

	connect(udp, (struct sockaddr *)&in, sizeof(in));
	sendto(udp, "u", 1, 0, (struct sockaddr *)&in, sizeof(in));
	connect(unix_fd, (struct sockaddr *)&un, sizeof(un));
	connect(-1, (struct sockaddr *)&in, sizeof(in));
	getaddrinfo("192.0.2.1", "80", &hints, &result);
	getnameinfo(result->ai_addr, result->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(result);
	close(udp);
	close(unix_fd);
}

static int names(char *list)
{
	char *name;
	int status = 0;

	for (name = strtok(list, " "); name; name = strtok(NULL, " ")) {
		struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *result;
		int rc = getaddrinfo(name, "22", &hints, &result);

		printf("%s: %s\n", name, rc ? gai_strerror(rc) : inet_ntoa(((struct sockaddr_in *)result->ai_addr)->sin_addr));
		status |= rc != 0;
	}
	return status;
}

static void connect_peer(const char *name, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *result;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (getaddrinfo(name, port, &hints, &result) != 0 || connect(fd, result->ai_addr, result->ai_addrlen) < 0)
		abort();
	freeaddrinfo(result);
}

/* The first call that may be a peer's comes when no file can be opened, and the next when it can */
static void connect_without_descriptors(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int first = dup(socket(AF_INET, SOCK_STREAM, 0)), last = first, fd;

	while ((fd = dup(first)) >= 0)
		last = fd;
	connect(first, (struct sockaddr *)&in, sizeof(in));
	for (fd = first; fd <= last; fd++)
		close(fd);
}

int main(int argc, char **argv)
{
	int round;

	if (argc > 2 && strcmp(argv[1], "names") == 0)
		return names(argv[2]);
	if (argc > 2 && strcmp(argv[1], "late") == 0) {
		connect_without_descriptors();
		return names(argv[2]);
	}
	if (argc > 3 && strcmp(argv[1], "beside") == 0)
		connect_peer(argv[2], argv[3]);
	for (round = 0; round < 2; round++) {
		sched_yield();
		tcp_round();
		other_round();
	}
	sched_yield();
	return 0;
}
