/* SPDX-License-Identifier: MIT */
/*
 * connect_odd.c - under the shim: what else programs do around connect()
 */
#include <sys/uio.h>

#include "tests/shim/under.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static uint16_t port;
static int listener;

static void settle(int fd)
{
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
}

static int start(const char *name, int fd)
{
	struct address address = peer(name, AF_INET, port);

	assert_int_equal(join(fd, &address), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static void options_and_flags_are_carried_over(void **state)
{
	const struct timeval limit = { .tv_sec = 7 };
	const struct linger linger = { .l_onoff = 1, .l_linger = 5 };
	struct timeval limit_now = { 0 };
	struct linger linger_now = { 0 };
	socklen_t size = sizeof(limit_now), linger_size = sizeof(linger_now), name_size;
	char name[16] = "";
	int fd = tcp(AF_INET, SOCK_NONBLOCK | SOCK_CLOEXEC), buffer;

	(void)state;
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 7);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
	set_option(fd, IPPROTO_IP, IP_TOS, 0x10);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 30000);
	set_option(fd, SOL_SOCKET, SO_PRIORITY, 5);
	set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	buffer = option(fd, SOL_SOCKET, SO_RCVBUF);

	settle(start("bob", fd));
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 30000);
	assert_int_equal(option(fd, IPPROTO_IP, IP_TOS), 0x10);
	assert_int_equal(option(fd, SOL_SOCKET, SO_RCVBUF), buffer);
	assert_int_equal(option(fd, SOL_SOCKET, SO_PRIORITY), 5);
	assert_int_equal(option(fd, SOL_SOCKET, SO_OOBINLINE), 1);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit_now, &size), 0);
	assert_int_equal(limit_now.tv_sec, 7);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger_now, &linger_size), 0);
	assert_int_equal(linger_now.l_linger, 5);
	name_size = sizeof(name);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &name_size), 0);
	assert_string_equal(name, "reno");
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_connected(fd, listener);
	close(fd);
}

/* Connect with keepalive and TCP_KEEPIDLE set as told (-1: not at all). Return: the descriptor */
static int kept(int keepalive, int idle)
{
	int fd = tcp(AF_INET, SOCK_NONBLOCK);

	if (keepalive >= 0)
		set_option(fd, SOL_SOCKET, SO_KEEPALIVE, keepalive);
	if (idle >= 0)
		set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
	settle(start("bob", fd));
	assert_connected(fd, listener);
	return fd;
}

static void the_resolver_s_keepalive_stays_where_the_program_chose_no_times(void **state)
{
	int fd = kept(-1, -1);

	(void)state;
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), DOUBLE_KEEPIDLE);
	/* What is set later counts, and is read back */
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
	close(fd);
	fd = kept(1, -1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), DOUBLE_KEEPIDLE);
	close(fd);
}

static void keepalive_times_of_the_program_s_own_stay(void **state)
{
	int fd = kept(1, 77);

	(void)state;
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	close(fd);
	/* Times without the switch: it is to be thrown later, by the program */
	fd = kept(-1, 77);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	close(fd);
}

static void the_resolver_s_congestion_control_stays_where_the_program_chose_none(void **state)
{
	char name[16] = "";
	socklen_t size = sizeof(name);
	int fd = kept(-1, -1);

	(void)state;
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
	assert_string_equal(name, "reno");
	close(fd);
}

static void a_socket_bound_to_an_address_works(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = tcp(AF_INET, SOCK_NONBLOCK);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	settle(start("bob", fd));
	assert_connected(fd, listener);
	close(fd);
}

static void fast_open_connects_first(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	struct iovec iov = { .iov_base = (char[]){ "a" }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &bob.ss, .msg_namelen = bob.size };
	struct sockaddr_in alias = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct mmsghdr many;
	int fd = tcp(AF_INET, 0), far;
	char c;

	(void)state;
	assert_int_equal(sendto(fd, "f", 1, MSG_FASTOPEN, (struct sockaddr *)&bob.ss, bob.size), 1);
	far = accept(listener, NULL, NULL);
	assert_int_equal(read(far, &c, 1), 1);
	assert_int_equal(c, 'f');
	close(far);
	close(fd);

	fd = tcp(AF_INET, 0);
	assert_int_equal(sendmsg(fd, &message, MSG_FASTOPEN), 1);
	far = accept(listener, NULL, NULL);
	assert_int_equal(read(far, &c, 1), 1);
	assert_int_equal(c, 'a');
	close(far);
	close(fd);

	inet_aton("10.9.0.2", &alias.sin_addr);		/* would leave for a host of this address */
	many.msg_hdr = message;
	many.msg_hdr.msg_name = &alias;
	many.msg_hdr.msg_namelen = sizeof(alias);
	fd = tcp(AF_INET, 0);
	assert_int_equal(sendmmsg(fd, &many, 1, MSG_FASTOPEN), 1);
	far = accept(listener, NULL, NULL);
	assert_int_equal(read(far, &c, 1), 1);
	assert_int_equal(c, 'a');
	close(far);
	close(fd);

	fd = tcp(AF_INET, SOCK_NONBLOCK);
	assert_int_equal(sendto(fd, "f", 1, MSG_FASTOPEN, (struct sockaddr *)&bob.ss, bob.size), -1);
	assert_int_equal(errno, EINPROGRESS);
	settle(fd);
	assert_connected(fd, listener);
	close(fd);

	fd = tcp(AF_INET, 0);
	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void a_multipath_socket_works(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_MPTCP);

	(void)state;
	if (fd < 0)
		skip();		/* kernel without MPTCP */
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, EINPROGRESS);
	settle(fd);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_connected(fd, listener);
	close(fd);
}

static void datagrams_are_refused(void **state)
{
	struct address bob = peer("bob", AF_INET, port), six = peer("bob", AF_INET6, port);
	struct iovec iov = { .iov_base = (char[]){ "a" }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = &six.ss, .msg_namelen = six.size };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), fd6 = socket(AF_INET6, SOCK_DGRAM, 0), local = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct mmsghdr many[2] = { 0 };
	socklen_t size = sizeof(in);
	char c;

	(void)state;
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, ENETUNREACH);
	assert_int_equal(join(fd6, &bob), -1);
	assert_int_equal(errno, ENETUNREACH);
	assert_int_equal(sendto(fd, "a", 1, 0, (struct sockaddr *)&bob.ss, bob.size), -1);
	assert_int_equal(errno, ENETUNREACH);
	assert_int_equal(sendmsg(fd6, &message, 0), -1);
	assert_int_equal(errno, ENETUNREACH);
	many[0].msg_hdr = many[1].msg_hdr = message;
	assert_int_equal(sendmmsg(fd6, many, 2, 0), -1);
	assert_int_equal(errno, ENETUNREACH);
	/* what comes before it goes its way */
	assert_int_equal(bind(local, (struct sockaddr *)&in, size), 0);
	assert_int_equal(getsockname(local, (struct sockaddr *)&in, &size), 0);
	many[0].msg_hdr.msg_name = &in;
	many[0].msg_hdr.msg_namelen = size;
	many[1].msg_hdr.msg_name = &bob.ss;
	many[1].msg_hdr.msg_namelen = bob.size;
	assert_int_equal(sendmmsg(fd, many, 2, 0), 1);
	assert_int_equal(read(local, &c, 1), 1);
	close(local);
	close(fd);
	close(fd6);
}

static void what_is_wrong_with_a_socket_the_kernel_says(void **state)
{
	struct address bob = peer("bob", AF_INET, port), six = peer("bob", AF_INET6, port);
	int fd = tcp(AF_INET, 0);

	(void)state;
	assert_int_equal(connect(-1, (struct sockaddr *)&bob.ss, bob.size), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(connect(0, (struct sockaddr *)&bob.ss, bob.size), -1);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(join(fd, &six), -1);
	assert_int_equal(errno, EAFNOSUPPORT);
	assert_int_equal(join(listener, &bob), -1);
	assert_int_equal(errno, EISCONN);
	assert_int_equal(connect(fd, (struct sockaddr *)&bob.ss, 4), -1);
	assert_int_equal(errno, EINVAL);
	close(fd);
}

static void an_unknown_stand_in_is_unreachable(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	struct sockaddr_in *in = (struct sockaddr_in *)&bob.ss;
	int fd = tcp(AF_INET, 0);

	(void)state;
	inet_aton("239.193.7.7", &in->sin_addr);
	assert_int_equal(join(fd, &bob), -1);
	assert_true(errno == ENETUNREACH || errno == EHOSTUNREACH);
	close(fd);
}

static void refused_at_once_when_the_resolver_says_so(void **state)
{
	struct address denied = peer("denied", AF_INET, port);
	int fd = tcp(AF_INET, SOCK_NONBLOCK);

	(void)state;
	assert_int_equal(join(fd, &denied), -1);
	assert_int_equal(errno, EACCES);
	close(fd);
}

static void a_child_may_claim_what_its_parent_started(void **state)
{
	int fd = start("slow", tcp(AF_INET, SOCK_NONBLOCK)), status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
		int error = -1;
		socklen_t size = sizeof(error);

		poll(&pollfd, 1, LIMIT_MS);
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
		_exit(error == 0 && write(fd, "c", 1) == 1 ? 0 : 1);
	}
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(read(fd, &(char){ 0 }, 1), 1);
	close(fd);
}

static void bytes_written_before_any_question_arrive(void **state)
{
	int fd = start("lazy", tcp(AF_INET, SOCK_NONBLOCK)), far;
	char data[8] = "";

	(void)state;
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(write(fd, "early", 5), 5);
	assert_non_null(strstr(remote(fd), "239.192."));	/* must not throw them away */
	assert_true(wait_for(listener, POLLIN));
	far = accept(listener, NULL, NULL);
	assert_true(wait_for(far, POLLIN) & POLLIN);
	assert_int_equal(read(far, data, sizeof(data)), 5);
	assert_string_equal(data, "early");
	assert_int_equal(write(far, "late", 4), 4);
	assert_true(wait_for(fd, POLLIN) & POLLIN);
	assert_int_equal(read(fd, data, sizeof(data)), 4);
	close(far);
	close(fd);
}

static void disconnecting_makes_an_ordinary_socket(void **state)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct address bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, 0), far;

	(void)state;
	assert_int_equal(join(fd, &bob), 0);
	far = accept(listener, NULL, NULL);
	close(far);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_string_equal(remote(fd), "");
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	assert_connected(fd, listener);
	close(fd);
}

static void getpeername_cuts_off_as_the_kernel_does(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	unsigned char room[32];
	socklen_t size = 6;
	int fd = tcp(AF_INET, 0);

	(void)state;
	assert_int_equal(join(fd, &bob), 0);
	memset(room, 0xee, sizeof(room));
	assert_int_equal(getpeername(fd, (struct sockaddr *)room, &size), 0);
	assert_int_equal(size, sizeof(struct sockaddr_in));
	assert_int_equal(room[4], 239);
	assert_int_equal(room[5], 192);
	assert_int_equal(room[6], 0xee);
	assert_connected(fd, listener);
	close(fd);
}

/* Last: there is no resolver afterwards until the next connect() starts one */
static void a_resolver_that_dies_does_not_hang_the_program(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = start("slow", tcp(AF_INET, SOCK_NONBLOCK)), error;
	double begin = seconds();
	char command[300];

	(void)state;
	snprintf(command, sizeof(command), "LD_PRELOAD= %s stop", getenv("DOUBLE"));
	assert_int_equal(system(command), 0);
	assert_true(wait_for(fd, POLLOUT) & (POLLERR | POLLHUP));
	error = socket_error(fd);
	assert_true(error == ECONNABORTED || error == ETIMEDOUT);
	assert_true(seconds() - begin < 4);	/* the kernel repeats its SYN after a second, and is refused */
	close(fd);
	fd = tcp(AF_INET, 0);
	assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_flags_are_carried_over),
		cmocka_unit_test(the_resolver_s_keepalive_stays_where_the_program_chose_no_times),
		cmocka_unit_test(keepalive_times_of_the_program_s_own_stay),
		cmocka_unit_test(the_resolver_s_congestion_control_stays_where_the_program_chose_none),
		cmocka_unit_test(a_socket_bound_to_an_address_works),
		cmocka_unit_test(fast_open_connects_first),
		cmocka_unit_test(a_multipath_socket_works),
		cmocka_unit_test(datagrams_are_refused),
		cmocka_unit_test(what_is_wrong_with_a_socket_the_kernel_says),
		cmocka_unit_test(an_unknown_stand_in_is_unreachable),
		cmocka_unit_test(refused_at_once_when_the_resolver_says_so),
		cmocka_unit_test(a_child_may_claim_what_its_parent_started),
		cmocka_unit_test(bytes_written_before_any_question_arrive),
		cmocka_unit_test(disconnecting_makes_an_ordinary_socket),
		cmocka_unit_test(getpeername_cuts_off_as_the_kernel_does),
		cmocka_unit_test(a_resolver_that_dies_does_not_hang_the_program),
	};

	listener = server(&port);
	return cmocka_run_group_tests_name("around connect", tests, NULL, NULL);
}
