/* SPDX-License-Identifier: MIT */
/*
 * connect_blocking.c - under the shim: connect() that waits
 */
#include <setjmp.h>
#include <pthread.h>
#include <sys/stat.h>

#include "tests/shim/under.h"

static uint16_t port;
static int listener;
static sigjmp_buf leave;

static void connects_and_shows_the_peer(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, 0);
	char expected[64];

	(void)state;
	errno = 4711;
	assert_int_equal(join(fd, &bob), 0);
	assert_int_equal(errno, 4711);
	snprintf(expected, sizeof(expected), "239.192.0.101:%u", port);
	assert_string_equal(remote(fd), expected);
	assert_connected(fd, listener);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(join(fd, &bob), -1);
	assert_int_equal(errno, EISCONN);
	close(fd);
}

static void a_literal_alias_is_the_peer(void **state)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = tcp(AF_INET, 0);

	(void)state;
	inet_aton("10.9.0.2", &in.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void an_ipv6_socket_reaches_both_kinds_of_stand_in(void **state)
{
	struct address six = peer("bob", AF_INET6, port), four = peer("bob", AF_INET, port), mapped = { .size = 0 };
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&mapped.ss;
	int fd = tcp(AF_INET6, 0);

	(void)state;
	assert_int_equal(join(fd, &six), 0);
	assert_non_null(strstr(remote(fd), "ff18:7075:6e63:6800::65:"));
	assert_connected(fd, listener);
	close(fd);

	fd = tcp(AF_INET6, 0);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&in6->sin6_addr.s6_addr[12], &((struct sockaddr_in *)&four.ss)->sin_addr, 4);
	mapped.size = sizeof(*in6);
	assert_int_equal(join(fd, &mapped), 0);
	assert_non_null(strstr(remote(fd), "::ffff:239.192.0.101:"));
	assert_connected(fd, listener);
	close(fd);
}

static void a_failure_has_its_errno_and_leaves_the_socket_usable(void **state)
{
	struct address refuser = peer("refuser", AF_INET, port), bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, 0), before = descriptors();

	(void)state;
	assert_int_equal(join(fd, &refuser), -1);
	assert_int_equal(errno, ECONNREFUSED);
	assert_int_equal(socket_error(fd), 0);
	assert_string_equal(remote(fd), "");
	assert_int_equal(descriptors(), before);
	assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void it_waits_no_longer_than_punch_timeout(void **state)
{
	struct address never = peer("never", AF_INET, port);
	double start = seconds();
	int fd = tcp(AF_INET, 0);

	(void)state;
	assert_int_equal(join(fd, &never), -1);		/* PUNCH_TIMEOUT is 2 */
	assert_int_equal(errno, ETIMEDOUT);
	assert_true(seconds() - start > 1.9 && seconds() - start < 3);
	close(fd);
}

static void send_timeout_ends_the_wait_and_the_socket_goes_on(void **state)
{
	const struct timeval limit = { .tv_usec = 200000 };
	struct address slow = peer("slow", AF_INET, port);
	int fd = tcp(AF_INET, 0);

	(void)state;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	assert_int_equal(join(fd, &slow), -1);
	assert_int_equal(errno, EINPROGRESS);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);
	assert_int_equal(socket_error(fd), 0);
	assert_connected(fd, listener);
	close(fd);
}

/* Connections of tests that gave up */
static void drain(int patience_ms)
{
	struct pollfd pollfd = { .fd = listener, .events = POLLIN };

	while (poll(&pollfd, 1, patience_ms) == 1)
		close(accept(listener, NULL, NULL));
}

static void on_alarm(int number)
{
	(void)number;
}

static void on_alarm_leave(int number)
{
	(void)number;
	siglongjmp(leave, 1);
}

static void alarm_in(int ms, void (*handler)(int), int flags)
{
	const struct itimerval timer = { .it_value = { .tv_usec = ms * 1000 } };
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void a_signal_interrupts_it_and_the_connection_goes_on(void **state)
{
	struct address slow = peer("slow", AF_INET, port);
	int fd = tcp(AF_INET, 0);

	(void)state;
	alarm_in(200, on_alarm, 0);
	assert_int_equal(join(fd, &slow), -1);
	assert_int_equal(errno, EINTR);
	assert_true(wait_for(fd, POLLOUT) & POLLOUT);	/* as POSIX has it: established asynchronously */
	assert_int_equal(socket_error(fd), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void connect_again_after_a_signal_waits_on(void **state)
{
	struct address slow = peer("slow", AF_INET, port);
	int fd = tcp(AF_INET, 0);

	(void)state;
	alarm_in(200, on_alarm, 0);
	assert_int_equal(join(fd, &slow), -1);
	assert_int_equal(errno, EINTR);
	assert_int_equal(join(fd, &slow), 0);
	assert_connected(fd, listener);
	assert_int_equal(join(fd, &slow), -1);
	assert_int_equal(errno, EISCONN);
	close(fd);
}

static void a_restarting_handler_is_not_noticed(void **state)
{
	struct address slow = peer("slow", AF_INET, port);
	int fd = tcp(AF_INET, 0);

	(void)state;
	alarm_in(200, on_alarm, SA_RESTART);
	assert_int_equal(join(fd, &slow), 0);
	assert_connected(fd, listener);
	close(fd);
}

struct watch {
	int fd;
	ino_t inode;		/* of the socket that is there at first */
	pthread_t whom;
};

static void *signal_when_it_is_replaced(void *argument)
{
	const struct watch *watch = argument;
	double limit = seconds() + 5;
	struct stat now;

	do {
		if (fstat(watch->fd, &now) < 0)
			break;
	} while (now.st_ino == watch->inode && seconds() < limit);
	pthread_kill(watch->whom, SIGALRM);
	return NULL;
}

/* The peer's socket is in place and connect() has not returned: under "punch --any" it is to be made again then */
static void a_restarting_handler_is_not_noticed_at_the_very_end(void **state)
{
	enum { ROUNDS = 60 };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct address bob = peer("bob", AF_INET, port);
	int round, error, failed = 0;
	struct watch watch;
	pthread_t thread;
	struct stat st;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	for (round = 0; round < ROUNDS; round++) {
		watch.fd = tcp(AF_INET, 0);
		watch.whom = pthread_self();
		assert_int_equal(fstat(watch.fd, &st), 0);
		watch.inode = st.st_ino;
		assert_int_equal(pthread_create(&thread, NULL, signal_when_it_is_replaced, &watch), 0);
		error = join(watch.fd, &bob) < 0 ? errno : 0;
		pthread_join(thread, NULL);
		failed += error != 0;
		if (error)
			print_message("round %d: %s\n", round, strerror(error));
		assert_connected(watch.fd, listener);
		close(watch.fd);
	}
	signal(SIGALRM, SIG_DFL);
	assert_int_equal(failed, 0);
}

static void leaving_by_siglongjmp_leaks_nothing_and_breaks_nothing(void **state)
{
	struct address slow = peer("slow", AF_INET, port), bob = peer("bob", AF_INET, port);
	int before = descriptors(), fd = tcp(AF_INET, 0), i;

	(void)state;
	for (i = 0; i < 3; i++) {
		if (sigsetjmp(leave, 1) == 0) {
			alarm_in(100, on_alarm_leave, 0);
			join(fd, &slow);
			fail();
		}
		close(fd);
		assert_int_equal(descriptors(), before);
		fd = tcp(AF_INET, 0);
	}
	assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

/* At any moment: in the kernel's connect(), in a request to the resolver, in the middle of a swap */
static void leaving_at_any_moment_leaks_nothing(void **state)
{
	struct address lazy = peer("lazy", AF_INET, port), bob = peer("bob", AF_INET, port);
	int before = descriptors(), fd = -1;
	volatile int i, left = 0;

	(void)state;
	for (i = 0; i < 300; i++) {
		const struct itimerval timer = { .it_value = { .tv_usec = 20 + i * 7 } }, none = { 0 };

		fd = tcp(AF_INET, 0);
		if (sigsetjmp(leave, 1) == 0) {
			signal(SIGALRM, on_alarm_leave);
			setitimer(ITIMER_REAL, &timer, NULL);
			join(fd, &lazy);
			setitimer(ITIMER_REAL, &none, NULL);
		} else {
			left++;
		}
		signal(SIGALRM, SIG_IGN);
		close(fd);
		drain(0);
	}
	assert_true(left > 10);
	assert_int_equal(descriptors(), before);
	drain(200);
	fd = tcp(AF_INET, 0);
	assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void *connect_bob(void *argument)
{
	struct address *bob = argument;
	int fd = tcp(AF_INET, 0), i;
	long failures = 0;

	for (i = 0; i < 10; i++) {
		failures += join(fd, bob) != 0 || !strstr(remote(fd), "239.192.0.101");
		close(fd);
		fd = tcp(AF_INET, 0);
	}
	close(fd);
	return (void *)failures;
}

static void threads_connect_side_by_side(void **state)
{
	struct address lazy = peer("bob", AF_INET, port);
	int before = descriptors();
	pthread_t threads[8];
	void *failures;
	double start = seconds();
	int i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, connect_bob, &lazy), 0);
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], &failures);
		assert_null(failures);
	}
	assert_true(seconds() - start < 5);
	assert_int_equal(descriptors(), before);
	for (i = 0; i < 80; i++)
		close(accept(listener, NULL, NULL));
}

static void descriptors_are_refused_when_none_is_left(void **state)
{
	struct address bob = peer("bob", AF_INET, port);
	int fd = tcp(AF_INET, 0), used[1024], count = 0;

	(void)state;
	while (count < 1024 && (used[count] = dup(fd)) >= 0)
		count++;
	if (getenv("PUNCH_ANY")) {
		assert_int_equal(join(fd, &bob), 0);	/* served from outside: it takes none of the program's */
	} else {
		assert_int_equal(join(fd, &bob), -1);
		assert_int_equal(errno, EMFILE);
	}
	while (count > 0)
		close(used[--count]);
	if (!getenv("PUNCH_ANY"))
		assert_int_equal(join(fd, &bob), 0);
	assert_connected(fd, listener);
	close(fd);
}

static void *join_slow(void *arg)
{
	struct address slow = peer("slow", AF_INET, port);
	int fd = *(int *)arg, errno_kept = 4711;

	errno = errno_kept;
	return join(fd, &slow) == 0 && errno == errno_kept ? arg : NULL;
}

static void a_resolver_that_dies_is_followed_by_the_next(void **state)
{
	int fd = tcp(AF_INET, 0), tries = 0;
	char command[300];
	pthread_t thread;
	struct tcp_info info;
	socklen_t size;
	void *result;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, join_slow, &fd), 0);
	do {
		size = sizeof(info);
		assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
		usleep(1000);
	} while (info.tcpi_state != TCP_SYN_SENT && ++tries < LIMIT_MS);
	snprintf(command, sizeof(command), "LD_PRELOAD= %s stop", getenv("DOUBLE"));
	assert_int_equal(system(command), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &fd);
	assert_connected(fd, listener);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_shows_the_peer),
		cmocka_unit_test(a_literal_alias_is_the_peer),
		cmocka_unit_test(an_ipv6_socket_reaches_both_kinds_of_stand_in),
		cmocka_unit_test(a_failure_has_its_errno_and_leaves_the_socket_usable),
		cmocka_unit_test(it_waits_no_longer_than_punch_timeout),
		cmocka_unit_test(send_timeout_ends_the_wait_and_the_socket_goes_on),
		cmocka_unit_test(a_signal_interrupts_it_and_the_connection_goes_on),
		cmocka_unit_test(connect_again_after_a_signal_waits_on),
		cmocka_unit_test(a_restarting_handler_is_not_noticed),
		cmocka_unit_test(a_restarting_handler_is_not_noticed_at_the_very_end),
		cmocka_unit_test(leaving_by_siglongjmp_leaks_nothing_and_breaks_nothing),
		cmocka_unit_test(leaving_at_any_moment_leaks_nothing),
		cmocka_unit_test(threads_connect_side_by_side),
		cmocka_unit_test(descriptors_are_refused_when_none_is_left),
		cmocka_unit_test(a_resolver_that_dies_is_followed_by_the_next),
	};

	listener = server(&port);
	return cmocka_run_group_tests_name("connect that waits", tests, NULL, NULL);
}
