/* SPDX-License-Identifier: MIT */
/*
 * bell.h - under the shim: what the tests of servers have in common
 */
#ifndef PUNCH_TEST_BELL_H
#define PUNCH_TEST_BELL_H

#include "tests/shim/under.h"

#define NOBODY 65534

__attribute__((unused)) static uint16_t web;	/* port of a [service] */

/* A client: a peer that rings by way of the double, or anything else that talks on stdin and stdout */
struct client {
	pid_t pid;
	int to, from;
};

__attribute__((unused)) static struct client ring(const char *name)
{
	int to[2], from[2];
	struct client client;
	char port[8];

	snprintf(port, sizeof(port), "%u", web);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	client.pid = fork();
	if (client.pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		unsetenv("LD_PRELOAD");
		execl(getenv("DOUBLE"), "double", "ring", name, port, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	client.to = to[1];
	client.from = from[0];
	return client;
}

__attribute__((unused)) static void hang_up(struct client *client)
{
	close(client->to);
	close(client->from);
	kill(client->pid, SIGKILL);
	waitpid(client->pid, NULL, 0);
}

__attribute__((unused)) static void talk(const struct client *client, int fd)
{
	char c = 0;

	assert_int_equal(write(client->to, "q", 1), 1);
	assert_true(wait_for(fd, POLLIN) & POLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	assert_int_equal(c, 'q');
	assert_int_equal(write(fd, "r", 1), 1);
	assert_true(wait_for(client->from, POLLIN) & POLLIN);
	assert_int_equal(read(client->from, &c, 1), 1);
	assert_int_equal(c, 'r');
}

/* @address: "0.0.0.0", "127.0.0.1", "::" or "::1" */
__attribute__((unused)) static int serve(const char *address, int v6only, int flags)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
	struct addrinfo *result;
	char port[8];
	int fd;

	snprintf(port, sizeof(port), "%u", web);
	assert_int_equal(getaddrinfo(address, port, &hints, &result), 0);
	fd = tcp(result->ai_family, SOCK_CLOEXEC | flags);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (result->ai_family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6only);
	assert_int_equal(bind(fd, result->ai_addr, result->ai_addrlen), 0);
	freeaddrinfo(result);
	return fd;
}

__attribute__((unused)) static void published(int fd)
{
	errno = 4711;
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(errno, 4711);
}

__attribute__((unused)) static const char *text_of(const struct sockaddr_storage *ss, socklen_t size)
{
	static char host[64];

	assert_int_equal(getnameinfo((const struct sockaddr *)ss, size, host, sizeof(host), NULL, 0, NI_NUMERICHOST), 0);
	return host;
}

/* Words at the end of punch.conf; NULL: none any more. Return: how long it was */
__attribute__((unused)) static off_t add_to_conf(const char *words, off_t before)
{
	int fd = open(getenv("PUNCH_CONF"), O_WRONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	struct addrinfo *result;

	assert_true(size > 0);
	if (words)
		assert_int_equal(write(fd, words, strlen(words)), strlen(words));
	else
		assert_int_equal(ftruncate(fd, before), 0);
	close(fd);
	assert_int_equal(getaddrinfo("localhost", "80", NULL, &result), 0);	/* any look-up reads it again */
	freeaddrinfo(result);
	return size;
}

#endif
