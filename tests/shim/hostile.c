/* SPDX-License-Identifier: MIT */
/*
 * hostile.c - under the shim: connect() in surroundings that other such libraries break in
 *
 *	hostile [PATTERN]	cases whose names match
 */
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/shim/under.h"

#define STACK 65536
#define PLACES 256		/* sockets, of which the next one has the place of the first (TURNS in shim/pending.c) */

extern char **environ;

static uint16_t port;
static int listener;

static int start(const char *name, int family, int flags)
{
	struct address address = peer(name, family, port);
	int fd = tcp(family, SOCK_NONBLOCK | flags);

	assert_int_equal(join(fd, &address), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static int settled(const char *name)
{
	int fd = start(name, AF_INET, 0);

	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	return fd;
}

/* In a child's own words: 0 when @fd reaches the next connection of the listener */
static int works(int fd)
{
	struct address bob = peer("bob", AF_INET, port);
	char c = 0;
	int far;

	if (fd < 0 || join(fd, &bob) < 0 || write(fd, "a", 1) != 1)
		return 1;
	far = accept(listener, NULL, NULL);
	if (far < 0 || read(far, &c, 1) != 1 || c != 'a' || !strstr(remote(fd), "239.192.0.101:"))
		return 2;
	close(far);
	close(fd);
	return 0;
}

static void assert_child_ends_well(pid_t pid)
{
	int status = -1;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ------------------------------------------------------------ threads */

struct joiner {
	int fd;
	struct address address;
	pthread_barrier_t *barrier;
	int error;
};

static void *join_at_once(void *argument)
{
	struct joiner *joiner = argument;

	pthread_barrier_wait(joiner->barrier);
	joiner->error = join(joiner->fd, &joiner->address) < 0 ? errno : 0;
	return NULL;
}

static void threads_connect_one_socket(void **state)
{
	enum { THREADS = 4, ROUNDS = 20 };
	struct joiner joiners[THREADS];
	pthread_t threads[THREADS];
	pthread_barrier_t barrier;
	int round, i, fd, good;

	(void)state;
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (round = 0; round < ROUNDS; round++) {
		fd = tcp(AF_INET, 0);
		for (i = 0; i < THREADS; i++) {
			joiners[i] = (struct joiner){ fd, peer(round % 2 ? "bob" : "lazy", AF_INET, port), &barrier, -1 };
			assert_int_equal(pthread_create(&threads[i], NULL, join_at_once, &joiners[i]), 0);
		}
		for (i = good = 0; i < THREADS; i++) {
			pthread_join(threads[i], NULL);
			good += joiners[i].error == 0;
			/* as the kernel has it: who comes while it connects waits with the others, who comes later is told */
			assert_true(joiners[i].error == 0 || joiners[i].error == EISCONN || joiners[i].error == EALREADY);
		}
		assert_true(good > 0);
		assert_connected(fd, listener);
		assert_non_null(strstr(remote(fd), "239.192.0.10"));
		close(fd);
	}
	pthread_barrier_destroy(&barrier);
}

static void *connect_slow(void *argument)
{
	struct joiner *joiner = argument;

	joiner->error = join(joiner->fd, &joiner->address) < 0 ? errno : 0;
	return NULL;
}

/* The thread is in connect(): its socket left the closed state */
static void await_connecting(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	double limit = seconds() + 5;

	do {
		assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
		assert_true(seconds() < limit);
	} while (info.tcpi_state != TCP_SYN_SENT);
}

static void a_thread_is_cancelled_in_connect(void **state)
{
	struct joiner joiner = { .fd = tcp(AF_INET, 0), .address = peer("slow", AF_INET, port), .error = -1 };
	int before = descriptors(), fd;
	pthread_t thread;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, connect_slow, &joiner), 0);
	await_connecting(joiner.fd);
	assert_int_equal(pthread_cancel(thread), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	assert_int_equal(joiner.error, -1);
	assert_int_equal(descriptors(), before);
	close(joiner.fd);
	fd = settled("bob");		/* nothing stays locked */
	assert_connected(fd, listener);
	close(fd);
}

static void *connect_cancelled(void *argument)
{
	const struct joiner *joiner = argument;
	int before;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_cancel(pthread_self());		/* from now on the next call that can end the thread ends it */
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
	join(joiner->fd, &joiner->address);
	pthread_testcancel();
	return NULL;
}

/* The message about it is written while no other thread may park this socket, or one of the same place */
static void a_thread_that_is_to_end_is_refused(void **state)
{
	struct joiner joiner = { .fd = tcp(AF_INET, SOCK_NONBLOCK), .address = peer("denied", AF_INET, port) };
	double limit;
	pthread_t thread;
	void *result;
	int i, fd;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, connect_cancelled, &joiner), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	close(joiner.fd);
	limit = seconds() + LIMIT_MS / 1000.0;
	for (i = 0; i < PLACES && seconds() < limit; i++) {
		fd = tcp(AF_INET, SOCK_NONBLOCK);
		joiner.error = join(fd, &joiner.address) < 0 ? errno : 0;
		assert_int_equal(joiner.error, EACCES);
		close(fd);
	}
	assert_true(seconds() < limit);
}

static void another_thread_closes_it_and_reuses_the_number(void **state)
{
	struct joiner joiner = { .fd = tcp(AF_INET, 0), .address = peer("slow", AF_INET, port), .error = -1 };
	struct stat before, after;
	pthread_t thread;
	int null;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, connect_slow, &joiner), 0);
	await_connecting(joiner.fd);
	close(joiner.fd);
	null = open("/dev/null", O_RDWR);
	assert_int_equal(null, joiner.fd);
	assert_int_equal(fstat(null, &before), 0);
	pthread_join(thread, NULL);
	assert_int_equal(fstat(null, &after), 0);
	assert_int_equal(before.st_rdev, after.st_rdev);
	assert_true(S_ISCHR(after.st_mode));
	close(null);
	if (wait_for(listener, POLLIN))		/* the path that nobody wants */
		close(accept(listener, NULL, NULL));
}

/* ------------------------------------------------------------ processes */

static void a_fork_while_a_thread_connects(void **state)
{
	struct joiner joiner = { .fd = tcp(AF_INET, 0), .address = peer("slow", AF_INET, port), .error = -1 };
	pthread_t thread;
	pid_t pid;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, connect_slow, &joiner), 0);
	await_connecting(joiner.fd);
	pid = fork();
	if (pid == 0)
		_exit(close(joiner.fd) < 0 || works(tcp(AF_INET, 0)));	/* "bob" is there long before "slow" */
	assert_child_ends_well(pid);
	pthread_join(thread, NULL);
	assert_int_equal(joiner.error, 0);
	assert_connected(joiner.fd, listener);
	close(joiner.fd);
}

static void a_program_that_is_spawned_gets_the_bytes(void **state)
{
	char *const arguments[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char[]){ "echo spawned >&9" }, NULL };
	int fd = start("bob", AF_INET, 0), far;
	posix_spawn_file_actions_t actions;
	char data[16] = "";
	pid_t pid;

	(void)state;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, 9);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	/* before any question: the new program knows nothing of this socket */
	assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, arguments, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_child_ends_well(pid);
	close(fd);
	assert_true(wait_for(listener, POLLIN));
	far = accept(listener, NULL, NULL);
	assert_true(wait_for(far, POLLIN) & POLLIN);
	assert_int_equal(read(far, data, sizeof(data) - 1), 8);
	assert_string_equal(data, "spawned\n");
	close(far);
}

static void a_child_that_was_vforked_connects(void **state)
{
	volatile int result = -1;
	struct address bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, 0);
	pid_t pid;

	(void)state;
	pid = vfork();
	if (pid == 0) {
		result = join(fd, &bob);
		_exit(0);
	}
	assert_child_ends_well(pid);
	assert_int_equal(result, 0);
	close(fd);			/* the child's copy was the one that was swapped */
	close(accept(listener, NULL, NULL));
	fd = settled("bob");
	assert_connected(fd, listener);
	close(fd);
}

static int in_clone(void *argument)
{
	struct joiner *joiner = argument;

	joiner->error = join(joiner->fd, &joiner->address) < 0 ? errno : 0;
	return 0;
}

static void a_process_that_shares_memory_and_descriptors_connects(void **state)
{
	struct joiner joiner = { .fd = tcp(AF_INET, 0), .address = peer("bob", AF_INET, port), .error = -1 };
	char *stack = malloc(STACK);
	pid_t pid;

	(void)state;
	assert_non_null(stack);
	pid = clone(in_clone, stack + STACK, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, &joiner);
	assert_child_ends_well(pid);
	free(stack);
	assert_int_equal(joiner.error, 0);
	assert_connected(joiner.fd, listener);
	assert_non_null(strstr(remote(joiner.fd), "239.192.0.101:"));
	close(joiner.fd);
}

static void a_daemon_connects(void **state)
{
	int result[2], status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(result), 0);
	pid = fork();
	if (pid == 0) {
		setsid();
		if (fork() == 0) {
			status = works(tcp(AF_INET, 0));
			_exit(write(result[1], &status, sizeof(status)) < 0);
		}
		_exit(0);
	}
	assert_child_ends_well(pid);
	assert_int_equal(read(result[0], &status, sizeof(status)), sizeof(status));
	assert_int_equal(status, 0);
	close(result[0]);
	close(result[1]);
}

static void it_works_without_descriptors_0_to_2(void **state)
{
	pid_t pid = fork();
	int fd;

	(void)state;
	if (pid == 0) {
		for (fd = 0; fd <= 2; fd++)
			close(fd);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		_exit(fd != 0 ? 9 : works(fd));
	}
	assert_child_ends_well(pid);
}

/* Nobody reads what the child says: it must not wait in a message of ours, with all signals held back */
static void a_full_pipe_on_descriptor_2_stops_nobody(void **state)
{
	struct address denied = peer("denied", AF_INET, port);
	int full[2], done[2], fd;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(full), 0);
	assert_int_equal(pipe(done), 0);
	assert_int_equal(fcntl(full[1], F_SETFL, O_NONBLOCK), 0);
	while (write(full[1], (char[4096]){ 0 }, 4096) > 0)
		;
	assert_int_equal(fcntl(full[1], F_SETFL, 0), 0);
	pid = fork();
	if (pid == 0) {
		close(done[0]);
		dup2(full[1], STDERR_FILENO);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		_exit(join(fd, &denied) == 0 || errno != EACCES);
	}
	close(done[1]);
	if (!wait_for(done[0], POLLIN))
		kill(pid, SIGKILL);
	assert_child_ends_well(pid);
	close(done[0]);
	close(full[0]);
	close(full[1]);
}

static void it_works_after_closefrom(void **state)
{
	pid_t pid = fork();
	int fd;

	(void)state;
	if (pid == 0) {
		dup2(listener, 3);
		listener = 3;
		for (fd = 4; fd < 256; fd++)
			close(fd);
		_exit(works(socket(AF_INET, SOCK_STREAM, 0)));
	}
	assert_child_ends_well(pid);
}

static void it_works_with_all_signals_blocked(void **state)
{
	sigset_t all, before, now;
	int fd = tcp(AF_INET, 0);

	(void)state;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	assert_int_equal(works(fd), 0);
	sigprocmask(SIG_SETMASK, &before, &now);
	assert_int_equal(sigismember(&now, SIGTERM), 1);
	assert_int_equal(sigismember(&now, SIGUSR1), 1);
}

static void it_works_with_a_thousand_descriptors(void **state)
{
	enum { MANY = 1000 };
	struct rlimit before, limit;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 4711 };
	int fds[MANY], epoll, fd, far, i;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	limit = before;
	limit.rlim_cur = limit.rlim_max < MANY + 100 ? limit.rlim_max : MANY + 100;
	if (limit.rlim_cur < MANY + 100 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
		skip();
	for (i = 0; i < MANY; i++) {
		fds[i] = i % 10 ? open("/dev/null", O_RDONLY) : socket(AF_INET, SOCK_STREAM, 0);
		assert_true(fds[i] >= 0);
	}
	epoll = epoll_create1(0);
	fd = start("bob", AF_INET, 0);
	assert_true(fd > MANY);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(far, "x", 1), 1);
	assert_int_equal(epoll_wait(epoll, &event, 1, LIMIT_MS), 1);
	assert_int_equal(event.data.u64, 4711);
	close(far);
	close(fd);
	close(epoll);
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	setrlimit(RLIMIT_NOFILE, &before);
}

/* ------------------------------------------------------------ what is done with a socket that was swapped in */

static void select_and_exclusive_epoll_see_it(void **state)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = 4711 };
	int fd = start("bob", AF_INET, 0), epoll = epoll_create1(0), far;
	struct timeval limit = { .tv_sec = LIMIT_MS / 1000 };
	fd_set set;

	(void)state;
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	assert_int_equal(select(fd + 1, NULL, &set, NULL, &limit), 1);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(far, "x", 1), 1);
	assert_int_equal(epoll_wait(epoll, &event, 1, LIMIT_MS), 1);
	assert_int_equal(event.data.u64, 4711);
	assert_int_equal(event.events, EPOLLIN);
	FD_ZERO(&set);
	FD_SET(fd, &set);
	assert_int_equal(select(fd + 1, &set, NULL, NULL, &limit), 1);
	close(far);
	close(fd);
	close(epoll);
}

static volatile sig_atomic_t urgent;

static void on_urgent(int number)
{
	(void)number;
	urgent++;
}

static void urgent_data_and_its_signal_come_through(void **state)
{
	int fd = start("bob", AF_INET, 0), far;
	double limit = seconds() + 5;
	char c = 0;

	(void)state;
	signal(SIGURG, on_urgent);
	assert_int_equal(fcntl(fd, F_SETOWN, getpid()), 0);		/* before the swap */
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(send(far, "!", 1, MSG_OOB), 1);
	assert_true(wait_for(fd, POLLPRI) & POLLPRI);
	while (!urgent)
		assert_true(seconds() < limit);
	assert_int_equal(recv(fd, &c, 1, MSG_OOB), 1);
	assert_int_equal(c, '!');
	close(far);
	close(fd);
}

static void half_closes_and_resets_are_told(void **state)
{
	const struct linger hard = { .l_onoff = 1 };
	int fd = start("bob", AF_INET, 0), far;
	char c;

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(wait_for(far, POLLIN) & POLLIN);
	assert_int_equal(read(far, &c, 1), 0);
	assert_int_equal(write(far, "x", 1), 1);		/* the other way is open */
	assert_true(wait_for(fd, POLLIN) & POLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	close(far);

	fd = start("bob", AF_INET, 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	close(fd);
	assert_true(wait_for(far, POLLIN) & POLLERR);
	assert_int_equal(socket_error(far), ECONNRESET);
	close(far);
}

static void files_and_pages_are_sent_and_peeked_at(void **state)
{
	int fd = start("bob", AF_INET, 0), far, file = open("/proc/self/exe", O_RDONLY), pipes[2];
	char data[4096], back[4096];
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	off_t offset = 0;

	(void)state;
	set_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(pread(file, data, sizeof(data), 0), sizeof(data));

	assert_int_equal(sendfile(fd, file, &offset, sizeof(data)), sizeof(data));
	assert_int_equal(recv(far, back, sizeof(back), MSG_PEEK | MSG_WAITALL), sizeof(back));
	assert_int_equal(recv(far, back, sizeof(back), MSG_WAITALL), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], data, sizeof(data)), sizeof(data));
	assert_int_equal(splice(pipes[0], NULL, fd, NULL, sizeof(data), 0), sizeof(data));
	assert_int_equal(recv(far, back, sizeof(back), MSG_WAITALL), sizeof(back));
	assert_memory_equal(data, back, sizeof(data));

	assert_int_equal(send(fd, data, sizeof(data), MSG_ZEROCOPY), sizeof(data));
	assert_int_equal(recv(far, back, sizeof(back), MSG_WAITALL), sizeof(back));
	assert_true(wait_for(fd, 0) & POLLERR);			/* the notice of completion */

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	assert_int_equal(info.tcpi_state, TCP_ESTABLISHED);
	close(pipes[0]);
	close(pipes[1]);
	close(file);
	close(far);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_connect_one_socket),
		cmocka_unit_test(a_thread_is_cancelled_in_connect),
		cmocka_unit_test(a_thread_that_is_to_end_is_refused),
		cmocka_unit_test(another_thread_closes_it_and_reuses_the_number),
		cmocka_unit_test(a_fork_while_a_thread_connects),
		cmocka_unit_test(a_program_that_is_spawned_gets_the_bytes),
		cmocka_unit_test(a_child_that_was_vforked_connects),
		cmocka_unit_test(a_process_that_shares_memory_and_descriptors_connects),
		cmocka_unit_test(a_daemon_connects),
		cmocka_unit_test(it_works_without_descriptors_0_to_2),
		cmocka_unit_test(a_full_pipe_on_descriptor_2_stops_nobody),
		cmocka_unit_test(it_works_after_closefrom),
		cmocka_unit_test(it_works_with_all_signals_blocked),
		cmocka_unit_test(it_works_with_a_thousand_descriptors),
		cmocka_unit_test(select_and_exclusive_epoll_see_it),
		cmocka_unit_test(urgent_data_and_its_signal_come_through),
		cmocka_unit_test(half_closes_and_resets_are_told),
		cmocka_unit_test(files_and_pages_are_sent_and_peeked_at),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	listener = server(&port);
	return cmocka_run_group_tests_name("hostile surroundings", tests, NULL, NULL);
}
