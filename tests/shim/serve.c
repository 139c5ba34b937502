/* SPDX-License-Identifier: MIT */
/*
 * serve.c - under the shim: listen() and accept()
 */
#include <grp.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "tests/shim/bell.h"

static void accept_shows_the_peer(void **state)
{
	int listener = serve("0.0.0.0", 0, 0), fd, before;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	struct client bob;
	char host[64];

	(void)state;
	published(listener);
	before = descriptors();
	bob = ring("bob");
	errno = 4711;
	fd = accept(listener, (struct sockaddr *)&ss, &size);
	assert_true(fd >= 0);
	assert_int_equal(errno, 4711);
	assert_int_equal(size, sizeof(struct sockaddr_in));
	assert_string_equal(text_of(&ss, size), "239.192.0.101");
	assert_non_null(strstr(remote(fd), "239.192.0.101:"));
	assert_int_equal(getnameinfo((struct sockaddr *)&ss, size, host, sizeof(host), NULL, 0, NI_NAMEREQD), 0);
	assert_string_equal(host, "bob");
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	talk(&bob, fd);
	assert_int_equal(descriptors(), before + 3);	/* the socket, and two pipes of the client */
	hang_up(&bob);
	close(fd);
	close(listener);
}

static void flags_and_inherited_options_stay(void **state)
{
	int listener = serve("127.0.0.1", 0, SOCK_NONBLOCK), fd;
	struct client bob;

	(void)state;
	set_option(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	published(listener);
	bob = ring("bob");
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), DOUBLE_KEEPIDLE);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_non_null(strstr(remote(fd), "239.192.0.101:"));
	talk(&bob, fd);
	hang_up(&bob);
	close(fd);
	close(listener);
}

static void ipv6_listeners_see_ipv6_addresses(void **state)
{
	static const struct { const char *address, *expected; int v6only; } cases[] = {
		{ "::", "::ffff:239.192.0.101", 0 },
		{ "::", "ff18:7075:6e63:6800::65", 1 },
		{ "::1", "ff18:7075:6e63:6800::65", 0 },
	};
	struct sockaddr_storage ss;
	struct client bob;
	socklen_t size;
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int listener = serve(cases[i].address, cases[i].v6only, 0);

		published(listener);
		bob = ring("bob");
		size = sizeof(ss);
		fd = accept(listener, (struct sockaddr *)&ss, &size);
		assert_true(fd >= 0);
		assert_string_equal(text_of(&ss, size), cases[i].expected);
		assert_int_equal(size, sizeof(struct sockaddr_in6));
		talk(&bob, fd);
		hang_up(&bob);
		close(fd);
		close(listener);
	}
}

static void a_short_buffer_is_filled_as_the_kernel_does(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), fd;
	unsigned char room[16];
	socklen_t size = 6;
	struct client bob;

	(void)state;
	published(listener);
	bob = ring("bob");
	memset(room, 0xee, sizeof(room));
	fd = accept(listener, (struct sockaddr *)room, &size);
	assert_true(fd >= 0);
	assert_int_equal(size, sizeof(struct sockaddr_in));
	assert_int_equal(room[5], 192);
	assert_int_equal(room[6], 0xee);
	hang_up(&bob);
	close(fd);
	close(listener);
}

static int local_client(const char *from)
{
	struct sockaddr_in me = { .sin_family = AF_INET }, in = { .sin_family = AF_INET, .sin_port = htons(web) };
	int fd = tcp(AF_INET, 0);

	inet_aton(from, &me.sin_addr);
	inet_aton("127.0.0.1", &in.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

static void local_clients_are_what_they_are(void **state)
{
	static const char *const sources[] = { "127.0.0.1", "127.112.0.9" };	/* one from the pool, with no right to */
	int listener = serve("0.0.0.0", 0, 0), client, fd;
	struct sockaddr_storage ss;
	socklen_t size;
	size_t i;

	(void)state;
	published(listener);
	for (i = 0; i < 2; i++) {
		client = local_client(sources[i]);
		size = sizeof(ss);
		fd = accept(listener, (struct sockaddr *)&ss, &size);
		assert_true(fd >= 0);
		assert_string_equal(text_of(&ss, size), sources[i]);
		assert_int_equal(write(client, "l", 1), 1);
		assert_int_equal(read(fd, &(char){ 0 }, 1), 1);
		close(client);
		close(fd);
	}
	close(listener);
}

static void a_peer_that_has_gone_is_passed_over(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), client, fd, before;
	struct client gone;

	(void)state;
	published(listener);
	before = descriptors();
	gone = ring("refuser");		/* the double fails this claim */
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	client = local_client("127.0.0.1");
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	close(client);
	close(fd);
	hang_up(&gone);
	assert_int_equal(descriptors(), before);

	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	gone = ring("refuser");
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	hang_up(&gone);
	close(listener);
}

/* Else a list that trusts 127/8 would let a peer in */
static void a_claim_without_an_answer_is_no_local_client(void **state)
{
	int listener = serve("127.0.0.1", 0, 0);
	struct client cut;

	(void)state;
	published(listener);
	assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
	cut = ring("never");		/* the double hangs up on this claim */
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	hang_up(&cut);
	close(listener);
}

/* The resolver goes on with what it has read before, and so it rings */
static void a_mistake_in_the_file_lets_no_peer_in_as_a_local_client(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), fd;
	struct client bob;
	off_t size;

	(void)state;
	published(listener);
	size = add_to_conf("[nonsense]\n", 0);
	bob = ring("bob");
	fd = accept(listener, NULL, NULL);
	add_to_conf(NULL, size);
	assert_non_null(strstr(remote(fd), "239.192.0.101:"));
	talk(&bob, fd);
	hang_up(&bob);
	close(fd);
	close(listener);
}

static void defer_accept_does_not_keep_peers_out(void **state)
{
	int listener, fd, after;
	struct client bob;

	(void)state;
	for (after = 0; after < 2; after++) {
		listener = serve("127.0.0.1", 0, 0);
		if (!after)
			set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
		published(listener);
		if (after)
			set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30);
		bob = ring("bob");
		assert_true(wait_for(listener, POLLIN) & POLLIN);
		fd = accept(listener, NULL, NULL);
		assert_non_null(strstr(remote(fd), "239.192.0.101:"));
		hang_up(&bob);
		close(fd);
		close(listener);
	}
}

static void workers_forked_later_accept(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), fd, status;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	struct client slow;
	char host[64];
	pid_t pid;

	(void)state;
	published(listener);
	pid = fork();
	if (pid == 0) {
		if (getuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
			_exit(3);
		fd = accept(listener, (struct sockaddr *)&ss, &size);
		if (fd < 0 || !strstr(remote(fd), "239.192.0.102:") || write(fd, "w", 1) != 1)
			_exit(1);
		/* a question that the other user's resolver answers to whoever has its token */
		_exit(getnameinfo((struct sockaddr *)&ss, size, host, sizeof(host), NULL, 0, NI_NAMEREQD) ? 2 : 0);
	}
	slow = ring("slow");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(slow.from, &(char){ 0 }, 1), 1);
	hang_up(&slow);
	close(listener);
}

static void edge_triggered_epoll_wakes_for_a_peer(void **state)
{
	int listener = serve("0.0.0.0", 0, SOCK_NONBLOCK), epoll = epoll_create1(0), fd;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.fd = listener };
	struct client bob;

	(void)state;
	published(listener);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
	bob = ring("bob");
	assert_int_equal(epoll_wait(epoll, &event, 1, LIMIT_MS), 1);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(accept4(listener, NULL, NULL, SOCK_NONBLOCK), -1);
	assert_int_equal(errno, EAGAIN);
	event.data.fd = fd;
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	talk(&bob, fd);
	hang_up(&bob);
	close(fd);
	close(epoll);
	close(listener);
}

/* Bound as @how says, to every kind of address; and it stays an MPTCP socket where no service is */
static void mptcp_becomes_tcp(void **state)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(web) };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	int reuse, listener, copy, fd, epoll, other;
	struct client bob;

	(void)state;
	other = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (other < 0)
		skip();
	published(other);
	assert_int_equal(option(other, SOL_SOCKET, SO_PROTOCOL), IPPROTO_MPTCP);
	for (reuse = 0; reuse < 2; reuse++) {
		listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_MPTCP);
		set_option(listener, SOL_SOCKET, SO_REUSEADDR, reuse);
		assert_int_equal(bind(listener, (struct sockaddr *)&in6, sizeof(in6)), 0);
		copy = dup(listener);
		epoll = epoll_create1(EPOLL_CLOEXEC);
		assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, copy, &event), 0);
		published(listener);
		assert_int_equal(option(listener, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
		assert_int_equal(option(copy, SOL_SOCKET, SO_ACCEPTCONN), 1);
		assert_int_equal(option(listener, SOL_SOCKET, SO_REUSEADDR), reuse);
		assert_int_equal(fcntl(listener, F_GETFD), FD_CLOEXEC);
		bob = ring("bob");
		assert_int_equal(epoll_wait(epoll, &event, 1, LIMIT_MS), 1);
		assert_int_equal(event.data.u64, 4711);
		fd = accept(listener, NULL, NULL);
		assert_non_null(strstr(remote(fd), "239.192.0.101"));
		talk(&bob, fd);
		hang_up(&bob);
		shutdown(fd, SHUT_RDWR);
		close(fd);
		close(epoll);
		close(copy);
		close(listener);
	}
	close(other);
}

static void a_server_that_never_asks_gets_the_bytes_all_the_same(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), fd;
	struct client bob;

	(void)state;
	published(listener);
	bob = ring("bob");
	/* as a static server does: the system call, past the hook */
	fd = (int)syscall(SYS_accept4, listener, NULL, NULL, 0);
	if (fd < 0)
		skip();
	talk(&bob, fd);
	hang_up(&bob);
	close(fd);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* The first: it binds without SO_REUSEADDR, which what others leave in TIME_WAIT forbids */
		cmocka_unit_test(mptcp_becomes_tcp),
		cmocka_unit_test(accept_shows_the_peer),
		cmocka_unit_test(flags_and_inherited_options_stay),
		cmocka_unit_test(ipv6_listeners_see_ipv6_addresses),
		cmocka_unit_test(a_short_buffer_is_filled_as_the_kernel_does),
		cmocka_unit_test(local_clients_are_what_they_are),
		cmocka_unit_test(a_peer_that_has_gone_is_passed_over),
		cmocka_unit_test(a_claim_without_an_answer_is_no_local_client),
		cmocka_unit_test(a_mistake_in_the_file_lets_no_peer_in_as_a_local_client),
		cmocka_unit_test(defer_accept_does_not_keep_peers_out),
		cmocka_unit_test(workers_forked_later_accept),
		cmocka_unit_test(edge_triggered_epoll_wakes_for_a_peer),
		cmocka_unit_test(a_server_that_never_asks_gets_the_bytes_all_the_same),
	};

	web = (uint16_t)atoi(getenv("WEB"));
	return cmocka_run_group_tests_name("listen and accept", tests, NULL, NULL);
}
