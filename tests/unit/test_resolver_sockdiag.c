/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_sockdiag.c - the kernel's answers about real sockets
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "resolver/sockdiag.h"
#include "tests/unit/world.h"

static int begin(void **state)
{
	(void)state;
	return world_isolate();
}

static int listener(const char *address, uint16_t port, bool share)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	int fd, on = share, size;

	assert_int_equal(endpoint_parse(&ep, address, port), 0);
	size = endpoint_to_sockaddr(&ep, ep.family, &ss);
	fd = socket(ep.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, (socklen_t)size), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static int client(const char *address, uint16_t port, int family)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(endpoint_parse(&ep, address, port), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, (socklen_t)endpoint_to_sockaddr(&ep, family, &ss)), 0);
	return fd;
}

struct list {
	struct sockdiag_socket sockets[8];
	unsigned int count;
};

static bool collect(void *arg, const struct sockdiag_socket *socket)
{
	struct list *list = arg;

	assert_true(list->count < COUNT(list->sockets));
	list->sockets[list->count++] = *socket;
	return true;
}

static void all_listeners_of_a_port_and_no_others(void **state)
{
	int fds[] = { listener("127.0.0.1", 700, true), listener("127.0.0.1", 700, true), listener("::1", 700, false) };
	int other = listener("127.0.0.1", 701, false), client_fd = client("::1", 700, AF_INET6);
	struct list list = { .count = 0 };
	uint64_t cookie;

	(void)state;
	assert_int_equal(sockdiag_listeners(700, collect, &list), 0);
	assert_int_equal(list.count, 3);
	for (size_t i = 0; i < 3; i++) {
		unsigned int found = 0;

		assert_int_equal(sockdiag_cookie(fds[i], &cookie), 0);
		for (size_t k = 0; k < 3; k++)
			found += list.sockets[k].cookie == cookie && list.sockets[k].uid == geteuid() &&
				 list.sockets[k].local.port == 700;
		assert_int_equal(found, 1);
		close(fds[i]);
	}
	list.count = 0;
	assert_int_equal(sockdiag_listeners(700, collect, &list), 0);
	assert_int_equal(list.count, 0);
	close(other);
	close(client_fd);
}

static void check_pair(int fd, int far, int family)
{
	struct sockdiag_socket socket;
	struct endpoint local, remote;
	uint64_t cookie;

	assert_int_equal(endpoint_local(fd, &local), 0);
	assert_int_equal(endpoint_remote(fd, &remote), 0);
	assert_int_equal(send(fd, "four", 4, 0), 4);
	assert_int_equal(send(far, "seventh", 7, 0), 7);
	assert_int_equal(sockdiag_find(&local, &remote, &socket), 0);
	assert_int_equal(sockdiag_cookie(fd, &cookie), 0);
	assert_true(socket.cookie == cookie);
	assert_int_equal(socket.family, family);
	assert_int_equal(socket.state, TCP_ESTABLISHED);
	assert_int_equal(socket.bytes_out, 4);
	assert_int_equal(socket.bytes_in, 7);
	assert_true(endpoint_equal(&socket.local, &local));
	assert_true(endpoint_equal(&socket.remote, &remote));
	remote.port ^= 1;
	assert_int_equal(sockdiag_find(&local, &remote, &socket), -ENOENT);
}

static void one_connection_by_its_two_ends(void **state)
{
	static const struct { const char *at, *to; int family; } kinds[] = {
		{ "127.0.0.1", "127.0.0.1", AF_INET }, { "::", "127.0.0.1", AF_INET6 }, { "::1", "::1", AF_INET6 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int server = listener(kinds[i].at, 702, false), fd = client(kinds[i].to, 702, kinds[i].family);
		int far = accept(server, NULL, NULL);

		check_pair(fd, far, kinds[i].family);
		close(fd);
		close(far);
		close(server);
	}
}

/* Nobody but the one whose cookie is given, and the program sees an error, not an end */
static void a_connection_is_destroyed(void **state)
{
	int server = listener("127.0.0.1", 704, false), fd = client("127.0.0.1", 704, AF_INET), rc;
	int far = accept(server, NULL, NULL);
	struct endpoint local, remote;
	uint64_t cookie;
	char byte;

	(void)state;
	assert_int_equal(endpoint_local(far, &local), 0);
	assert_int_equal(endpoint_remote(far, &remote), 0);
	assert_int_equal(sockdiag_cookie(far, &cookie), 0);
	rc = sockdiag_destroy(&local, &remote, cookie + 1);
	if (rc == -EOPNOTSUPP) {
		print_message("SKIP this kernel has no SOCK_DESTROY\n");
		skip();
	}
	assert_true(rc < 0);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(sockdiag_destroy(&local, &remote, 0), -EAFNOSUPPORT);
	assert_int_equal(sockdiag_destroy(&local, &remote, cookie), 0);
	assert_int_equal(recv(far, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNABORTED);
	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(sockdiag_destroy(&local, &remote, cookie), -ENOENT);
	close(fd);
	close(far);
	close(server);
}

/* The kernel offers a listener on the port where the connection itself is gone */
static void a_listener_is_no_connection(void **state)
{
	int server = listener("127.0.0.1", 703, false);
	struct sockdiag_socket socket;
	struct endpoint local, remote;

	(void)state;
	endpoint_parse(&local, "127.0.0.1", 703);
	endpoint_parse(&remote, "127.0.0.1", 5555);
	assert_int_equal(sockdiag_find(&local, &remote, &socket), -ENOENT);
	endpoint_parse(&remote, "::1", 5555);
	assert_int_equal(sockdiag_find(&local, &remote, &socket), -EAFNOSUPPORT);
	close(server);
}

static void sockets_of_another_network_are_told_apart(void **state)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), ours = socket(AF_INET, SOCK_STREAM, 0), theirs;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	theirs = socket(AF_INET6, SOCK_STREAM, 0);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_true(sockdiag_is_ours(ours));
	assert_false(sockdiag_is_ours(theirs));
	assert_false(sockdiag_is_ours(home));	/* no socket at all */
	close(ours);
	close(theirs);
	close(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_listeners_of_a_port_and_no_others),
		cmocka_unit_test(one_connection_by_its_two_ends),
		cmocka_unit_test(a_connection_is_destroyed),
		cmocka_unit_test(a_listener_is_no_connection),
		cmocka_unit_test(sockets_of_another_network_are_told_apart),
	};

	return cmocka_run_group_tests_name("resolver sockdiag", tests, begin, NULL);
}
