/* SPDX-License-Identifier: MIT */
/*
 * numbers.c - under the shim: descriptors' numbers that are used again for a peer's socket
 *
 * A number was a native connection's, and is a peer's now, by ways that no library sees; and the other way round.
 * The peer's port is one that no native connection goes to: on one host nothing else tells the two apart.
 *
 * Argument "seen FD": what getpeername() shows of it, on stdout; for a program that was started with it.
 */
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/shim/under.h"

#define HIGH	4500	/* a number beyond those that the shim keeps in mind (shim/remote.c) */

static uint16_t port, bobs;
static int listener, bob_listens;
static char bob[32];			/* as getpeername() shows him */

static struct sockaddr_in here(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

/* A native connection, closed again. Return: the number it had, which is the next one that anything gets */
static int native(void)
{
	struct sockaddr_in in = here();
	int fd = tcp(AF_INET, SOCK_CLOEXEC), far;

	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	far = accept(listener, NULL, NULL);
	assert_true(far >= 0);
	close(far);
	close(fd);
	return fd;
}

static int connected(void)
{
	struct address address = peer("bob", AF_INET, bobs);
	int fd = tcp(AF_INET, SOCK_CLOEXEC);

	assert_int_equal(join(fd, &address), 0);
	close(accept(bob_listens, NULL, NULL));
	return fd;
}

static void pass(int socket, int fd)
{
	struct iovec iov = { .iov_base = (char[]){ "p" }, .iov_len = 1 };
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room),
	};

	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	assert_int_equal(sendmsg(socket, &message, 0), 1);
}

/* By recvmsg(), or recvmmsg() when @many */
static int take(int socket, bool many)
{
	struct iovec iov = { .iov_base = (char[]){ "-" }, .iov_len = 1 };
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr header; } control;
	struct mmsghdr message = { .msg_hdr = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.room),
	} };
	int fd;

	assert_int_equal(many ? recvmmsg(socket, &message, 1, MSG_CMSG_CLOEXEC, NULL) :
			 recvmsg(socket, &message.msg_hdr, MSG_CMSG_CLOEXEC), 1);
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

/* A process that connects to bob, passes the socket to @socket, and ends when that is closed. Return: its number */
static pid_t connector(int socket, int other)
{
	pid_t pid = fork();

	if (pid == 0) {
		close(other);
		pass(socket, connected());
		_exit(read(socket, &(char){ 0 }, 1) == 0 ? 0 : 1);
	}
	close(socket);
	return pid;
}

static void a_socket_that_was_passed_shows_the_peer(void **state)
{
	int many, pair[2], number, fd, status;
	pid_t pid;

	(void)state;
	for (many = 0; many < 2; many++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		pid = connector(pair[1], pair[0]);
		number = native();
		fd = take(pair[0], many);
		assert_int_equal(fd, number);
		assert_string_equal(remote(fd), bob);
		close(pair[0]);
		close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void a_socket_that_was_fetched_shows_the_peer(void **state)
{
	int pair[2], number, fd, pidfd, theirs;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		fd = connected();
		_exit(write(pair[1], &fd, sizeof(fd)) == (ssize_t)sizeof(fd) && read(pair[1], &fd, 1) == 1 ? 0 : 1);
	}
	assert_int_equal(read(pair[0], &theirs, sizeof(theirs)), sizeof(theirs));
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	number = native();
	fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	if (fd >= 0) {
		assert_int_equal(fd, number);
		assert_string_equal(remote(fd), bob);
	}
	assert_int_equal(write(pair[0], "e", 1), 1);
	waitpid(pid, NULL, 0);
	close(pair[0]);
	close(pair[1]);
	close(pidfd);
	close(fd);
	if (fd < 0)
		skip();
}

/* A number, by dup2() and its like, from one socket to another */
static void duplicates_show_whose_they_are(void **state)
{
	struct sockaddr_in in = here();
	int fd = connected(), other = tcp(AF_INET, SOCK_CLOEXEC), far;

	(void)state;
	assert_int_equal(connect(other, (struct sockaddr *)&in, sizeof(in)), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(dup3(other, fd, O_CLOEXEC), fd);	/* the peer's becomes a native one's */
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	close(fd);
	fd = connected();
	assert_int_equal(dup2(fd, other), other);
	close(fd);
	assert_string_equal(remote(other), bob);
	/* and after all that the number is a file's, and a native socket's that was connected past us */
	close(other);
	assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), fd < other ? fd : other);
	assert_string_equal(remote(fd < other ? fd : other), "");
	close(fd < other ? fd : other);
	fd = tcp(AF_INET, SOCK_CLOEXEC);
	assert_int_equal(syscall(SYS_connect, fd, &in, sizeof(in)), 0);
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	close(far);
	far = accept(listener, NULL, NULL);
	close(far);
	close(fd);
}

/* @number in a fresh program. Return: what getpeername() shows there */
static const char *seen_at(int number)
{
	static char said[80];
	char program[200], text[12];
	int out[2];
	ssize_t n;
	pid_t pid;

	n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	assert_true(n > 0);
	program[n] = '\0';
	snprintf(text, sizeof(text), "%d", number);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(out[1], 1);
		fcntl(number, F_SETFD, 0);
		execl(program, program, "seen", text, NULL);
		_exit(127);
	}
	close(out[1]);
	n = read(out[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(out[0]);
	waitpid(pid, NULL, 0);
	return said;
}

static void a_high_number_shows_the_peer(void **state)
{
	struct rlimit limit, wide = { .rlim_cur = HIGH + 1, .rlim_max = HIGH + 1 };
	int fd, high;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	wide.rlim_max = limit.rlim_max > wide.rlim_cur ? limit.rlim_max : wide.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &wide) < 0)
		skip();
	fd = connected();
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
	assert_int_equal(high, HIGH);
	close(fd);
	assert_string_equal(remote(high), bob);
	assert_string_equal(seen_at(high), bob);
	close(high);
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* A socket that came from elsewhere is dissolved, and connected to somebody else */
static void a_dissolved_socket_carries_no_peer_on(void **state)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in in = here();
	int pair[2], fd, far;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = connector(pair[1], pair[0]);
	fd = take(pair[0], false);
	assert_string_equal(seen_at(fd), bob);
	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	far = accept(listener, NULL, NULL);
	assert_non_null(strstr(remote(fd), "127.0.0.1:"));
	assert_non_null(strstr(seen_at(fd), "127.0.0.1:"));
	close(pair[0]);
	waitpid(pid, NULL, 0);
	close(far);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		/* The first three: while this process has connected to no peer itself */
		cmocka_unit_test(a_socket_that_was_passed_shows_the_peer),
		cmocka_unit_test(a_socket_that_was_fetched_shows_the_peer),
		cmocka_unit_test(a_dissolved_socket_carries_no_peer_on),
		cmocka_unit_test(duplicates_show_whose_they_are),
		cmocka_unit_test(a_socket_that_was_passed_shows_the_peer),
		cmocka_unit_test(a_high_number_shows_the_peer),
	};

	if (argc == 3 && strcmp(argv[1], "seen") == 0)
		return printf("%s", remote(atoi(argv[2]))) < 0;
	listener = server(&port);
	bob_listens = server(&bobs);
	snprintf(bob, sizeof(bob), "239.192.0.101:%u", bobs);
	return cmocka_run_group_tests_name("numbers used again", tests, NULL, NULL);
}
