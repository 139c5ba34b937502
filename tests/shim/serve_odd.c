/* SPDX-License-Identifier: MIT */
/*
 * serve_odd.c - under the shim: who accepts, from where, and what waits
 *
 *	serve_odd [PATTERN]		the tests, those whose names match
 *	serve_odd accept ADDRESS	take a listening socket from descriptor 3, accept one peer: is it ADDRESS?
 *	serve_odd listen ADDRESS	the listening socket is descriptor 3: listen again, and the same
 *	serve_odd passed ADDRESS	... do not
 *	serve_odd confined		accept a local client at ::1 in a sandbox
 */
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "tests/shim/bell.h"

/* Accept one peer in a child. Return: 0 when it is @name and can be talked to */
static int serves(int listener, const char *address)
{
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || !strstr(remote(fd), address))
		return 1;
	return write(fd, "w", 1) == 1 ? 0 : 2;
}

static void assert_served(const struct client *client)
{
	char c = 0;

	assert_true(wait_for(client->from, POLLIN) & POLLIN);
	assert_int_equal(read(client->from, &c, 1), 1);
	assert_int_equal(c, 'w');
}

/* @expected: exit status */
static void assert_ends(pid_t pid, int expected)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
}

/* ------------------------------------------------------------ who accepts */

static void a_daemon_accepts(void **state)
{
	int listener = serve("0.0.0.0", 0, 0), over[2];
	struct client bob;
	char none;
	pid_t pid;

	(void)state;
	published(listener);
	assert_int_equal(pipe(over), 0);
	pid = fork();
	if (pid == 0) {			/* daemon(3): the process that listened has gone */
		setsid();
		if (fork() == 0)
			_exit(serves(listener, "239.192.0.101:"));
		_exit(0);
	}
	assert_ends(pid, 0);
	close(listener);
	close(over[1]);
	bob = ring("bob");
	assert_served(&bob);
	hang_up(&bob);
	assert_int_equal(read(over[0], &none, 1), 0);	/* nobody waits for it; while it lives, the port is taken */
	close(over[0]);
}

static void a_process_in_a_chroot_accepts(void **state)
{
	int listener = serve("0.0.0.0", 0, 0);
	struct client bob;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		close(listener);
		skip();
	}
	published(listener);
	pid = fork();
	if (pid == 0) {
		/* no /proc, no resolver's program, no configuration, no privilege */
		if (chroot("/proc/self/fdinfo") < 0 || chdir("/") < 0 || setgroups(0, NULL) < 0 ||
		    setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(9);
		_exit(serves(listener, "239.192.0.101:"));
	}
	bob = ring("bob");
	assert_ends(pid, 0);
	assert_served(&bob);
	hang_up(&bob);
	close(listener);
}

static int receive(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	if (recvmsg(socket, &message, 0) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void pass(int socket, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .bytes = { 0 } };
	struct iovec iov = { (char[]){ "x" }, 1 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes) };

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

/* @at: where it listens; @expected: under which address it sees the peer */
static void accepted_elsewhere(const char *at, const char *expected)
{
	struct client bob;
	int pair[2], listener;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();			/* before there is a listener, and executed anew */
	if (pid == 0) {
		dup2(pair[1], 3);
		execl("/proc/self/exe", "serve_odd", "accept", expected, NULL);
		_exit(9);
	}
	listener = serve(at, 1, 0);
	published(listener);
	pass(pair[0], listener);
	close(listener);
	bob = ring("bob");
	assert_ends(pid, 0);
	assert_served(&bob);
	hang_up(&bob);
	close(pair[0]);
	close(pair[1]);
}

static void a_process_started_elsewhere_accepts(void **state)
{
	(void)state;
	accepted_elsewhere("127.0.0.1", "239.192.0.101:");
	/* to these a doorbell comes from ::1, as local clients do */
	accepted_elsewhere("::1", "ff18:7075:6e63:6800::65:");
	accepted_elsewhere("::", "ff18:7075:6e63:6800::65:");
}

/* The same server once more, @how: with its listener, or by systemd with that */
static void begin_anew(int listener, const char *how)
{
	char own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	if (dup2(listener, 4) < 0 || dup2(4, 3) < 0 || setenv("LISTEN_PID", own, 1) < 0 ||
	    setenv("LISTEN_FDS", strcmp(how, "passed") ? "0" : "1", 1) < 0)
		_exit(9);
	execl("/proc/self/exe", "serve_odd", how, "ff18:7075:6e63:6800::65:", NULL);
	_exit(9);
}

/* The resolver goes on with what it has read before, and so it rings: from ::1, as local clients come */
static void a_server_that_begins_anew_with_a_mistake_in_the_file_accepts(void **state)
{
	static const char *const ways[] = { "listen", "passed" };
	int listener = serve("::1", 1, 0);
	int status = -1, failed = 0;
	struct client bob;
	unsigned int i;
	off_t size;
	pid_t pid;

	(void)state;
	published(listener);
	for (i = 0; i < 2; i++) {
		size = add_to_conf("[nonsense]\n", 0);
		pid = fork();
		if (pid == 0)
			begin_anew(listener, ways[i]);
		bob = ring("bob");
		waitpid(pid, &status, 0);
		add_to_conf(NULL, size);
		if (status)
			print_message("%s: status %#x\n", ways[i], (unsigned int)status);
		failed += status != 0;
		hang_up(&bob);
	}
	close(listener);
	assert_int_equal(failed, 0);
}

static void duplicates_of_a_listener_accept(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), other;
	struct client bob;

	(void)state;
	published(listener);
	other = dup(listener);
	close(listener);
	bob = ring("bob");
	assert_int_equal(serves(other, "239.192.0.101:"), 0);
	assert_served(&bob);
	hang_up(&bob);
	close(other);
}

static void listeners_of_one_port_share_the_peers(void **state)
{
	enum { PEERS = 8 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(web) };
	struct client peers[PEERS];
	int listeners[2], i, n = 0, fd;
	struct pollfd pollfds[2];

	(void)state;
	for (i = 0; i < 2; i++) {
		listeners[i] = tcp(AF_INET, SOCK_NONBLOCK | SOCK_CLOEXEC);
		set_option(listeners[i], SOL_SOCKET, SO_REUSEADDR, 1);
		set_option(listeners[i], SOL_SOCKET, SO_REUSEPORT, 1);
		assert_int_equal(bind(listeners[i], (struct sockaddr *)&in, sizeof(in)), 0);
		published(listeners[i]);
		pollfds[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
	}
	for (i = 0; i < PEERS; i++)
		peers[i] = ring("bob");
	while (n < PEERS) {
		assert_true(poll(pollfds, 2, LIMIT_MS) > 0);
		for (i = 0; i < 2; i++) {
			fd = accept(listeners[i], NULL, NULL);
			if (fd < 0)
				continue;
			assert_non_null(strstr(remote(fd), "239.192.0.101:"));
			assert_int_equal(write(fd, "w", 1), 1);
			close(fd);
			n++;
		}
	}
	for (i = 0; i < PEERS; i++) {
		assert_served(&peers[i]);
		hang_up(&peers[i]);
	}
	close(listeners[0]);
	close(listeners[1]);
}

/* ------------------------------------------------------------ what waits */

static int wait_by_select(int listener)
{
	struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(listener, &set);
	return select(listener + 1, &set, NULL, NULL, &limit);
}

static int wait_by_ppoll(int listener)
{
	struct pollfd pollfd = { .fd = listener, .events = POLLIN };

	return ppoll(&pollfd, 1, &(struct timespec){ .tv_sec = LIMIT_MS / 1000 }, NULL);
}

static int wait_by_epoll(int listener, uint32_t flags)
{
	struct epoll_event event = { .events = EPOLLIN | flags };
	int epoll = epoll_create1(0), n;

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event), 0);
	n = epoll_wait(epoll, &event, 1, LIMIT_MS);
	close(epoll);
	return n;
}

static int wait_by_oneshot(int listener)
{
	return wait_by_epoll(listener, EPOLLONESHOT);
}

static int wait_by_exclusive(int listener)
{
	return wait_by_epoll(listener, EPOLLEXCLUSIVE);
}

static void all_ways_to_wait_wake_for_a_peer(void **state)
{
	static int (*const ways[])(int) = { wait_by_select, wait_by_ppoll, wait_by_oneshot, wait_by_exclusive };
	int listener = serve("127.0.0.1", 0, SOCK_NONBLOCK);
	struct client bob;
	size_t i;

	(void)state;
	published(listener);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		bob = ring("bob");
		assert_int_equal(ways[i](listener), 1);
		assert_int_equal(serves(listener, "239.192.0.101:"), 0);
		assert_served(&bob);
		hang_up(&bob);
	}
	close(listener);
}

static void *accept_for_ever(void *argument)
{
	int *listener = argument;

	accept(*listener, NULL, NULL);
	return NULL;
}

static void a_thread_is_cancelled_in_accept(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), before;
	struct client bob;
	pthread_t thread;
	void *result;

	(void)state;
	published(listener);
	before = descriptors();
	assert_int_equal(pthread_create(&thread, NULL, accept_for_ever, &listener), 0);
	assert_int_equal(pthread_cancel(thread), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(descriptors(), before);
	bob = ring("bob");
	assert_int_equal(serves(listener, "239.192.0.101:"), 0);
	assert_served(&bob);
	hang_up(&bob);
	close(listener);
}

static void it_accepts_again_after_the_limit_of_descriptors(void **state)
{
	int listener = serve("127.0.0.1", 0, 0), fill[64], n = 0, fd;
	struct client gone, bob;
	struct rlimit limit;

	(void)state;
	published(listener);
	gone = ring("bob");
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	getrlimit(RLIMIT_NOFILE, &limit);
	assert_true(limit.rlim_cur <= 64);
	while (n < 64 && (fill[n] = dup(listener)) >= 0)
		n++;
	close(fill[--n]);		/* room for the connection, none to ask for the peer's */
	fd = accept(listener, NULL, NULL);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EMFILE);
	while (n > 0)
		close(fill[--n]);
	hang_up(&gone);
	bob = ring("bob");
	assert_int_equal(serves(listener, "239.192.0.101:"), 0);
	assert_served(&bob);
	hang_up(&bob);
	close(listener);
}

/* As of the kernel's own accept(): it takes a number first */
static void a_client_waits_while_no_descriptor_is_left(void **state)
{
	int listener = serve("127.0.0.1", 0, SOCK_NONBLOCK), fill[64], n = 0;
	struct client bob;

	(void)state;
	published(listener);
	bob = ring("bob");
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	while (n < 64 && (fill[n] = dup(listener)) >= 0)
		n++;
	assert_true(n < 64);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	assert_int_equal(errno, EMFILE);
	assert_true(wait_for(listener, POLLIN) & POLLIN);
	while (n > 0)
		close(fill[--n]);
	assert_int_equal(serves(listener, "239.192.0.101:"), 0);
	assert_served(&bob);
	hang_up(&bob);
	close(listener);
}

/* ------------------------------------------------------------ a sandbox */

#define ALLOW(name)	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1), \
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Any call that a server of local clients does not make is its death */
static int confine(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		ALLOW(read), ALLOW(write), ALLOW(close), ALLOW(accept), ALLOW(accept4), ALLOW(getsockopt),
		ALLOW(setsockopt), ALLOW(getpeername), ALLOW(sendto), ALLOW(sendmsg), ALLOW(connect), ALLOW(exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

static int serve_locally(int listener, int client, const struct sockaddr_storage *own, socklen_t own_size)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof(from), error_size = sizeof(int);
	int fd, error;
	char c = 0;

	if (confine())
		return 1;
	fd = accept(listener, (struct sockaddr *)&from, &size);
	if (fd < 0 || size != own_size || from.ss_family != own->ss_family)
		return 2;
	size = sizeof(from);
	if (getpeername(fd, (struct sockaddr *)&from, &size) < 0 || send(fd, "w", 1, 0) != 1 || read(client, &c, 1) != 1)
		return 3;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0 || error)
		return 4;
	close(fd);
	/* to nobody: what counts is that it comes to that */
	if (connect(client, (const struct sockaddr *)own, own_size) == 0 || errno != EISCONN)
		return 5;
	return c == 'w' ? 0 : 6;
}

/* @listener: a local client connects to it, and is served in a child */
static int served_confined(int listener)
{
	struct sockaddr_storage own;
	socklen_t size = sizeof(own);
	int client, status = -1;
	pid_t pid;

	if (getsockname(listener, (struct sockaddr *)&own, &size) < 0)
		return -1;
	client = socket(own.ss_family, SOCK_STREAM, 0);
	if (connect(client, (struct sockaddr *)&own, size) < 0)
		return -1;
	pid = fork();
	if (pid == 0)
		_exit(serve_locally(listener, client, &own, size));
	waitpid(pid, &status, 0);
	close(client);
	close(listener);
	return status;
}

static void a_strict_sandbox_sees_no_call_of_ours(void **state)
{
	int listener = serve("127.0.0.1", 0, 0);

	(void)state;
	published(listener);
	assert_int_equal(served_confined(listener), 0);
}

/* A process that never published anything */
static int serve_confined(void)
{
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	int listener = socket(AF_INET6, SOCK_STREAM, 0);

	if (bind(listener, (const struct sockaddr *)&in6, sizeof(in6)) < 0 || listen(listener, 16) < 0)
		return 9;
	return served_confined(listener) != 0;
}

/* No service is known then: each port may be one, but no doorbell comes to what listens since */
static void a_strict_sandbox_sees_no_call_of_ours_when_the_file_has_a_mistake(void **state)
{
	static const char *const texts[] = { "[nonsense]\n[service other]\nport = 9\n", "[nonsense]\n", "" };
	int file, status = -1, failed = 0;
	char path[4096];
	unsigned int i;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s.bad", getenv("PUNCH_CONF"));
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		assert_int_equal(write(file, texts[i], strlen(texts[i])), strlen(texts[i]));
		close(file);
		pid = fork();
		if (pid == 0) {
			setenv("PUNCH_CONF", path, 1);
			execl("/proc/self/exe", "serve_odd", "confined", NULL);
			_exit(9);
		}
		waitpid(pid, &status, 0);
		if (status)
			print_message("text %u: status %#x\n", i, (unsigned int)status);
		failed += status != 0;
	}
	unlink(path);
	assert_int_equal(failed, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_daemon_accepts),
		cmocka_unit_test(a_process_in_a_chroot_accepts),
		cmocka_unit_test(a_process_started_elsewhere_accepts),
		cmocka_unit_test(a_server_that_begins_anew_with_a_mistake_in_the_file_accepts),
		cmocka_unit_test(duplicates_of_a_listener_accept),
		cmocka_unit_test(listeners_of_one_port_share_the_peers),
		cmocka_unit_test(all_ways_to_wait_wake_for_a_peer),
		cmocka_unit_test(a_thread_is_cancelled_in_accept),
		cmocka_unit_test(it_accepts_again_after_the_limit_of_descriptors),
		cmocka_unit_test(a_client_waits_while_no_descriptor_is_left),
		cmocka_unit_test(a_strict_sandbox_sees_no_call_of_ours),
		cmocka_unit_test(a_strict_sandbox_sees_no_call_of_ours_when_the_file_has_a_mistake),
	};

	if (argc == 3 && strcmp(argv[1], "accept") == 0)
		return serves(receive(3), argv[2]);
	if (argc == 3 && strcmp(argv[1], "listen") == 0)
		return listen(3, 16) < 0 ? 3 : serves(3, argv[2]);
	if (argc == 3 && strcmp(argv[1], "passed") == 0)
		return serves(3, argv[2]);
	if (argc == 2 && strcmp(argv[1], "confined") == 0)
		return serve_confined();
	if (argc == 2)
		cmocka_set_test_filter(argv[1]);
	web = (uint16_t)atoi(getenv("WEB"));
	return cmocka_run_group_tests_name("listen and accept, elsewhere", tests, NULL, NULL);
}
