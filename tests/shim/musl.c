/* SPDX-License-Identifier: MIT */
/*
 * musl.c - a program of another C library, under the same shim
 *
 *	musl PORT	look bob up, connect with and without waiting, say something; 0 when all went well
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int say(int fd, int step)
{
	char host[64];
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	char c = 0;

	if (getpeername(fd, (struct sockaddr *)&ss, &size) < 0 ||
	    getnameinfo((struct sockaddr *)&ss, size, host, sizeof(host), NULL, 0, 0) != 0 || strcmp(host, "bob") != 0)
		return step;
	if (send(fd, "m", 1, 0) != 1 || recv(fd, &c, 1, 0) != 1 || c != 'm')
		return step + 1;
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME }, *result;
	struct pollfd pollfd = { .events = POLLOUT };
	socklen_t size = sizeof(int);
	int rc, error = -1;

	if (argc < 2 || getaddrinfo("bob.example.org", argv[1], &hints, &result) != 0)
		return 10;
	if (!result->ai_canonname || strcmp(result->ai_canonname, "bob.example.org") != 0)
		return 11;
	pollfd.fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(pollfd.fd, result->ai_addr, result->ai_addrlen) < 0)
		return 12;
	rc = say(pollfd.fd, 20);
	if (rc)
		return rc;
	pollfd.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(pollfd.fd, result->ai_addr, result->ai_addrlen) == 0 || errno != EINPROGRESS)
		return 30;
	if (poll(&pollfd, 1, 5000) != 1 || getsockopt(pollfd.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
		return 31;
	freeaddrinfo(result);
	/* blocking again, for say() */
	if (poll(&pollfd, 1, 5000) != 1 || !gethostbyname("bob"))
		return 32;
	send(pollfd.fd, "n", 1, 0);
	pollfd.events = POLLIN;
	return poll(&pollfd, 1, 5000) == 1 ? 0 : 33;
}
