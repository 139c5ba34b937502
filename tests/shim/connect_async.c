/* SPDX-License-Identifier: MIT */
/*
 * connect_async.c - under the shim: connect() that does not wait
 */
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "tests/shim/under.h"

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

static void the_kernel_answers_while_it_connects(void **state)
{
	struct address slow = peer("slow", AF_INET, port);
	struct pollfd pollfd = { .events = POLLIN | POLLOUT };
	double begin = seconds();
	int fd = start("slow", AF_INET, 0);

	(void)state;
	assert_true(seconds() - begin < 0.5);
	pollfd.fd = fd;
	assert_int_equal(poll(&pollfd, 1, 0), 0);
	assert_int_equal(socket_error(fd), 0);
	assert_string_equal(remote(fd), "");
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(join(fd, &slow), -1);
	assert_int_equal(errno, EALREADY);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_true(seconds() - begin > 1.4);
	errno = 4711;
	assert_int_equal(socket_error(fd), 0);
	assert_int_equal(errno, 4711);
	assert_non_null(strstr(remote(fd), "239.192.0.102:"));
	assert_connected(fd, listener);
	close(fd);
}

static void a_second_connect_is_told_once_that_it_worked(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = start("bob", AF_INET, 0);

	(void)state;
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(join(fd, &bob), 0);
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, EISCONN);
	assert_connected(fd, listener);
	close(fd);
}

static void getpeername_alone_is_enough(void **state)
{
	int fd = start("bob", AF_INET6, 0);

	(void)state;
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_non_null(strstr(remote(fd), "ff18:7075:6e63:6800::65:"));
	assert_connected(fd, listener);
	close(fd);
}

static void the_first_word_is_enough(void **state)
{
	int fd, far;
	struct stat before, after;
	char data[8] = "";

	(void)state;
	if (getenv("PUNCH_ANY"))
		skip();		/* no filter asks for each send() */
	fd = start("lazy", AF_INET, 0);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(send(fd, "word", 4, MSG_NOSIGNAL), 4);		/* haproxy */
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);		/* not copied by the resolver */
	assert_non_null(strstr(remote(fd), "239.192.0.103:"));
	far = accept(listener, NULL, NULL);
	assert_int_equal(read(far, data, sizeof(data)), 4);
	assert_string_equal(data, "word");
	close(far);
	close(fd);
}

static void a_failure_is_told_once_by_send(void **state)
{
	int fd;

	(void)state;
	if (getenv("PUNCH_ANY"))
		skip();		/* no filter asks for each send() */
	fd = start("refuser", AF_INET, 0);
	assert_true(wait_for(fd, POLLOUT));
	assert_int_equal(send(fd, "word", 4, MSG_NOSIGNAL), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(socket_error(fd), 0);
	close(fd);
}

static void a_failure_is_told_once_by_so_error(void **state)
{
	int fd = start("refuser", AF_INET, 0);

	(void)state;
	assert_true(wait_for(fd, POLLOUT));
	assert_string_equal(remote(fd), "");
	assert_int_equal(errno, ENOTCONN);
	assert_int_equal(socket_error(fd), ECONNREFUSED);
	assert_int_equal(socket_error(fd), 0);
	close(fd);
}

static void a_failure_is_told_once_by_connect(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = start("refuser", AF_INET, 0);

	(void)state;
	assert_true(wait_for(fd, POLLOUT));
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	assert_connected(fd, listener);
	close(fd);
}

/*
 * The next one may want it at once, as a client does that is told to come from it. No other process has a turn in
 * between, where that is permitted
 */
static void what_failed_leaves_its_port_free(void **state)
{
	enum { ROUNDS = 20 };
	struct sched_param first = { .sched_priority = 1 }, usual = { .sched_priority = 0 };
	struct address refuser = peer("refuser", AF_INET, port);
	struct sockaddr_in in = { .sin_family = AF_INET };
	const socklen_t size = sizeof(in);
	int i, fd, taken = 0;
	uint16_t own;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		close(server(&own));
		in.sin_port = htons(own);	/* by number: one that the kernel gave goes back at once */
		fd = tcp(AF_INET, SOCK_NONBLOCK);
		assert_int_equal(bind(fd, (struct sockaddr *)&in, size), 0);
		assert_int_equal(join(fd, &refuser), -1);
		assert_int_equal(errno, EINPROGRESS);
		assert_true(wait_for(fd, POLLOUT));
		sched_setscheduler(0, SCHED_FIFO, &first);
		assert_int_equal(socket_error(fd), ECONNREFUSED);
		close(fd);
		fd = tcp(AF_INET, 0);
		taken += bind(fd, (struct sockaddr *)&in, size) < 0;
		sched_setscheduler(0, SCHED_OTHER, &usual);
		close(fd);
	}
	assert_int_equal(taken, 0);
}

static void closing_early_is_harmless(void **state)
{
	int before = descriptors(), i;

	(void)state;
	for (i = 0; i < 20; i++)
		close(start(i % 2 ? "slow" : "bob", AF_INET, 0));
	assert_int_equal(descriptors(), before);
}

static int epoll_event(int epoll, uint32_t *events)
{
	struct epoll_event event = { 0 };

	if (epoll_wait(epoll, &event, 1, LIMIT_MS) != 1)
		return -1;
	*events = event.events;
	return event.data.fd;
}

static void epoll_with(int epoll, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd + 1000 };

	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

/* What nginx and Boost.Asio do (before), and libuv and asyncio (after) */
static void registered(uint32_t flags, int before)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, SOCK_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC), far;
	uint32_t events = 0;

	if (before)
		epoll_with(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | flags);
	if (before && (flags & EPOLLET))
		assert_int_equal(epoll_event(epoll, &events), fd + 1000);	/* HUP of an unconnected socket */
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, EINPROGRESS);
	if (!before)
		epoll_with(epoll, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | flags);
	assert_int_equal(epoll_event(epoll, &events), fd + 1000);
	assert_true(events & EPOLLOUT);
	assert_int_equal(socket_error(fd), 0);

	/* the registration is that of the real socket now */
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(far, "x", 1), 1);
	assert_true(wait_for(fd, POLLIN) & POLLIN);
	assert_int_equal(epoll_event(epoll, &events), fd + 1000);
	assert_true(events & EPOLLIN);
	shutdown(far, SHUT_WR);
	assert_true(wait_for(fd, POLLRDHUP) & POLLRDHUP);
	assert_int_equal(epoll_event(epoll, &events), fd + 1000);
	assert_true(events & EPOLLRDHUP);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL), 0);
	close(far);
	close(fd);
	close(epoll);
}

static void epoll_stays_level_triggered(void **state)
{
	(void)state;
	registered(0, 0);
}

static void epoll_stays_edge_triggered(void **state)
{
	(void)state;
	registered(EPOLLET, 0);
}

static void epoll_from_before_connect_stays(void **state)
{
	(void)state;
	registered(EPOLLET, 1);
}

static void every_epoll_set_follows(void **state)
{
	int fd = start("bob", AF_INET, 0), first = epoll_create1(0), second = epoll_create1(0), far;
	uint32_t events = 0;

	(void)state;
	epoll_with(first, fd, EPOLLIN);
	epoll_with(second, fd, EPOLLIN | EPOLLONESHOT);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(far, "x", 1), 1);
	assert_int_equal(epoll_event(first, &events), fd + 1000);
	assert_int_equal(epoll_event(second, &events), fd + 1000);
	assert_int_equal(events, EPOLLIN);
	assert_int_equal(epoll_event(first, &events), fd + 1000);
	assert_int_equal(epoll_wait(second, &(struct epoll_event){ 0 }, 1, 0), 0);	/* one shot */
	close(far);
	close(fd);
	close(first);
	close(second);
}

static void what_another_process_still_holds_is_silent(void **state)
{
	int fd = start("lazy", AF_INET, 0), epoll = epoll_create1(0), far, events;
	struct epoll_event event = { 0 };
	pid_t pid;

	(void)state;
	epoll_with(epoll, fd, EPOLLIN);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(socket_error(fd), 0);	/* the child keeps the placeholder, which ends after a second */
	far = accept(listener, NULL, NULL);
	events = epoll_wait(epoll, &event, 1, 1500);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(events, 0);
	close(far);
	close(fd);
	close(epoll);
}

struct waiter {
	int epoll;
	int fd;			/* that it was woken for with POLLIN */
};

static void *wait_in_epoll(void *argument)
{
	struct waiter *waiter = argument;
	uint32_t events = 0;

	waiter->fd = epoll_event(waiter->epoll, &events);
	return NULL;
}

static void a_thread_in_epoll_wait_is_woken_by_the_real_socket(void **state)
{
	struct waiter waiter = { .epoll = epoll_create1(0) };
	int fd = start("bob", AF_INET, 0), far;
	pthread_t thread;

	(void)state;
	epoll_with(waiter.epoll, fd, EPOLLIN);
	assert_int_equal(pthread_create(&thread, NULL, wait_in_epoll, &waiter), 0);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(far, "x", 1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(waiter.fd, fd + 1000);
	close(far);
	close(fd);
	close(waiter.epoll);
}

static void duplicates_follow(void **state)
{
	int fd = start("bob", AF_INET, SOCK_CLOEXEC), other = dup(fd), far;
	char c;

	(void)state;
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(other, F_GETFD), 0);
	far = accept(listener, NULL, NULL);
	assert_int_equal(write(other, "d", 1), 1);
	assert_true(wait_for(far, POLLIN) & POLLIN);
	assert_int_equal(read(far, &c, 1), 1);
	assert_int_equal(c, 'd');
	close(other);
	close(fd);
	close(far);
}

static void many_at_once(void **state)
{
	enum { MANY = 40 };
	int fds[MANY], connected = 0, i;
	double begin = seconds();

	(void)state;
	for (i = 0; i < MANY; i++)
		fds[i] = start("slow", AF_INET, 0);
	assert_true(seconds() - begin < 1.4);		/* none waited for another */
	for (i = 0; i < MANY; i++) {
		assert_true(wait_for(fds[i], POLLOUT) & POLLOUT);
		connected += socket_error(fds[i]) == 0 && strstr(remote(fds[i]), "239.192.0.102");
		close(fds[i]);
		close(accept(listener, NULL, NULL));
	}
	assert_int_equal(connected, MANY);
	assert_true(seconds() - begin < 4);
}

static void *ask_error(void *argument)
{
	int *fd = argument;

	return socket_error(*fd) == 0 && write(*fd, "t", 1) == 1 ? NULL : argument;
}

static void threads_that_ask_at_once_all_get_the_real_socket(void **state)
{
	enum { THREADS = 4 };
	pthread_t threads[THREADS];
	void *failed;
	char data[THREADS + 1];
	int round, i, far, fd;
	ssize_t got, n;

	(void)state;
	for (round = 0; round < 10; round++) {
		fd = start("lazy", AF_INET, 0);
		assert_true(wait_for(fd, POLLOUT) & POLLOUT);
		for (i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, ask_error, &fd), 0);
		for (i = 0; i < THREADS; i++) {
			pthread_join(threads[i], &failed);
			assert_null(failed);
		}
		far = accept(listener, NULL, NULL);
		for (got = 0; got < THREADS; got += n) {
			assert_true(wait_for(far, POLLIN) & POLLIN);
			n = read(far, data, sizeof(data));
			assert_true(n > 0);
		}
		assert_int_equal(got, THREADS);
		close(fd);
		close(far);
	}
}

static volatile sig_atomic_t signals;

static void on_alarm(int number)
{
	(void)number;
	signals++;
}

/* "punch --any" may have begun what a signal ends, before it can say so */
static void signals_that_restart_change_nothing(void **state)
{
	enum { ROUNDS = 100 };
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct address slow = peer("slow", AF_INET, port);
	int errors[ROUNDS], i;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	for (i = 0; i < ROUNDS; i++) {
		int fd = tcp(AF_INET, SOCK_NONBLOCK);

		setitimer(ITIMER_REAL, &often, NULL);
		errors[i] = join(fd, &slow) < 0 ? errno : 0;
		setitimer(ITIMER_REAL, &never, NULL);
		close(fd);
	}
	signal(SIGALRM, SIG_DFL);
	for (i = 0; i < ROUNDS; i++)
		assert_int_equal(errors[i], EINPROGRESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_answers_while_it_connects),
		cmocka_unit_test(a_second_connect_is_told_once_that_it_worked),
		cmocka_unit_test(getpeername_alone_is_enough),
		cmocka_unit_test(the_first_word_is_enough),
		cmocka_unit_test(a_failure_is_told_once_by_send),
		cmocka_unit_test(a_failure_is_told_once_by_so_error),
		cmocka_unit_test(a_failure_is_told_once_by_connect),
		cmocka_unit_test(what_failed_leaves_its_port_free),
		cmocka_unit_test(closing_early_is_harmless),
		cmocka_unit_test(signals_that_restart_change_nothing),
		cmocka_unit_test(epoll_stays_level_triggered),
		cmocka_unit_test(epoll_stays_edge_triggered),
		cmocka_unit_test(epoll_from_before_connect_stays),
		cmocka_unit_test(every_epoll_set_follows),
		cmocka_unit_test(what_another_process_still_holds_is_silent),
		cmocka_unit_test(a_thread_in_epoll_wait_is_woken_by_the_real_socket),
		cmocka_unit_test(duplicates_follow),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(threads_that_ask_at_once_all_get_the_real_socket),
	};

	listener = server(&port);
	return cmocka_run_group_tests_name("connect that does not wait", tests, NULL, NULL);
}
