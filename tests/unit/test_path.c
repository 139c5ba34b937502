/* SPDX-License-Identifier: MIT */
/*
 * test_path.c - two ends prove a real TCP connection to each other
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/keepalive.h"
#include "resolver/path.h"

struct end {
	struct path *path;
	struct secret secret;
	uint8_t session[SESSION_SIZE];
	enum path_state seen;
	unsigned int events;
	bool nominate;		/* caller: as soon as proven */
	unsigned int keepalive;
};

struct pair {
	struct event_base *base;
	struct end caller, callee;
	int fds[2];
};

/* A TCP connection over loopback, both ends non-blocking */
static void tcp_pair(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sin, sizeof(sin)), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(listener);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
}

static void on_event(void *arg, struct path *path)
{
	struct end *end = arg;

	end->seen = path_state(path);
	end->events++;
	if (end->seen == PATH_PROVEN && end->nominate)
		path_nominate(path);
}

static struct path *start(struct pair *pair, struct end *end, bool caller, int fd)
{
	struct path_setup setup = {
		.base = pair->base, .caller = caller, .session = end->session, .secret = &end->secret,
		.keepalive = end->keepalive, .event = on_event, .arg = end,
	};

	return path_new(&setup, fd, LOCAL_PATH_DIRECT, true);
}

static int setup(void **state)
{
	static struct pair pair;

	memset(&pair, 0, sizeof(pair));
	pair.base = event_base_new();
	secret_random(&pair.caller.secret, sizeof(pair.caller.secret));
	pair.callee.secret = pair.caller.secret;
	tcp_pair(pair.fds);
	*state = &pair;
	return 0;
}

static int teardown(void **state)
{
	struct pair *pair = *state;

	path_free(pair->caller.path);
	path_free(pair->callee.path);
	event_base_free(pair->base);
	return 0;
}

/* Let the loop run for some ms: loopback delivers within one */
static void run(struct pair *pair, int ms)
{
	struct timeval span = { .tv_sec = 0, .tv_usec = ms * 1000 };

	event_base_loopexit(pair->base, &span);
	event_base_loop(pair->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void both(struct pair *pair)
{
	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	pair->callee.path = start(pair, &pair->callee, false, pair->fds[1]);
	assert_non_null(pair->caller.path);
	assert_non_null(pair->callee.path);
}

static void proven_and_nominated(void **state)
{
	struct pair *pair = *state;

	pair->caller.nominate = true;
	both(pair);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_NOMINATED);
	assert_int_equal(pair->callee.seen, PATH_NOMINATED);
}

static void nothing_is_nominated_by_itself(void **state)
{
	struct pair *pair = *state;

	both(pair);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_PROVEN);
	assert_int_equal(pair->callee.seen, PATH_PROVEN);
}

static void program_bytes_are_left_alone(void **state)
{
	struct pair *pair = *state;
	char text[64] = "";
	int caller, callee;

	pair->caller.nominate = true;
	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	/* The callee looks only when preamble, nomination and the program's first bytes have all come */
	{
		uint8_t hello[PREAMBLE_SIZE];

		assert_int_equal(preamble_make(hello, PREAMBLE_CALLEE, pair->callee.session,
					       &pair->callee.secret), 0);
		assert_int_equal(send(pair->fds[1], hello, sizeof(hello), 0), PREAMBLE_SIZE);
	}
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_NOMINATED);
	caller = path_release(pair->caller.path);
	assert_int_equal(write(caller, "GET / HTTP/1.0", 14), 14);
	pair->callee.path = start(pair, &pair->callee, false, pair->fds[1]);
	run(pair, 50);
	assert_int_equal(pair->callee.seen, PATH_NOMINATED);
	callee = path_release(pair->callee.path);
	assert_int_equal(fcntl(callee, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(recv(callee, text, sizeof(text), MSG_DONTWAIT), 14);
	assert_string_equal(text, "GET / HTTP/1.0");
	close(caller);
	close(callee);
}

static void other_secret_is_disproved(void **state)
{
	struct pair *pair = *state;

	pair->callee.secret.callee[7] ^= 1;
	pair->caller.nominate = true;
	both(pair);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_DEAD);
	assert_true(path_disproved(pair->caller.path));
}

static void other_session_is_disproved(void **state)
{
	struct pair *pair = *state;

	pair->callee.session[0] ^= 1;
	both(pair);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_DEAD);
	assert_int_equal(pair->callee.seen, PATH_DEAD);
}

static void echo_of_our_own_preamble_proves_nothing(void **state)
{
	struct pair *pair = *state;
	uint8_t echo[PREAMBLE_SIZE];

	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	run(pair, 10);
	assert_int_equal(recv(pair->fds[1], echo, sizeof(echo), 0), PREAMBLE_SIZE);
	assert_int_equal(send(pair->fds[1], echo, sizeof(echo), 0), PREAMBLE_SIZE);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_DEAD);
	close(pair->fds[1]);
}

/* What a relay has heard is worth nothing at a port of ours, and the other way about */
static void a_relayed_hello_is_good_on_a_relayed_path_alone(void **state)
{
	static const enum local_path kinds[] = { LOCAL_PATH_DIRECT, LOCAL_PATH_LAN, LOCAL_PATH_RELAY };
	struct pair *pair = *state;
	uint8_t hello[PREAMBLE_SIZE];
	unsigned int i;

	close(pair->fds[0]);
	close(pair->fds[1]);
	for (i = 0; i < 12; i++) {
		bool caller = i & 1, relayed = i & 2, is_relay = kinds[i / 4] == LOCAL_PATH_RELAY;
		struct path_setup setup = {
			.base = pair->base, .caller = caller, .session = pair->caller.session,
			.secret = &pair->caller.secret, .event = on_event, .arg = &pair->caller,
		};

		tcp_pair(pair->fds);
		pair->caller.events = 0;
		pair->caller.path = path_new(&setup, pair->fds[0], kinds[i / 4], true);
		assert_int_equal(preamble_make(hello, preamble_hello(!caller, relayed), pair->callee.session,
					       &pair->callee.secret), 0);
		assert_int_equal(send(pair->fds[1], hello, sizeof(hello), 0), PREAMBLE_SIZE);
		while (!pair->caller.events)
			event_base_loop(pair->base, EVLOOP_ONCE);
		assert_int_equal(pair->caller.seen, relayed == is_relay ? PATH_PROVEN : PATH_DEAD);
		assert_int_equal(recv(pair->fds[1], hello, sizeof(hello), 0), PREAMBLE_SIZE);
		assert_true(preamble_check(hello, preamble_hello(caller, is_relay), pair->callee.session, &pair->callee.secret));
		path_free(pair->caller.path);
		close(pair->fds[1]);
	}
	pair->caller.path = NULL;
}

static void preamble_in_single_bytes(void **state)
{
	struct pair *pair = *state;
	uint8_t hello[PREAMBLE_SIZE];
	int i;

	assert_int_equal(preamble_make(hello, PREAMBLE_CALLEE, pair->callee.session, &pair->callee.secret), 0);
	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	for (i = 0; i < PREAMBLE_SIZE; i++) {
		assert_int_not_equal(pair->caller.seen, PATH_PROVEN);
		assert_int_equal(send(pair->fds[1], hello + i, 1, 0), 1);
		run(pair, 5);
	}
	assert_int_equal(pair->caller.seen, PATH_PROVEN);
	close(pair->fds[1]);
}

static void far_end_that_closes_is_dead_not_disproved(void **state)
{
	struct pair *pair = *state;

	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	close(pair->fds[1]);
	run(pair, 50);
	assert_int_equal(pair->caller.seen, PATH_DEAD);
	assert_false(path_disproved(pair->caller.path));
}

/* An RST would close the four-tuple in NATs for 10 s */
static void a_loser_ends_by_fin(void **state)
{
	struct pair *pair = *state;
	uint8_t hello[PREAMBLE_SIZE];
	char byte;

	assert_int_equal(preamble_make(hello, PREAMBLE_CALLEE, pair->callee.session, &pair->callee.secret), 0);
	assert_int_equal(send(pair->fds[1], hello, sizeof(hello), 0), PREAMBLE_SIZE);
	pair->caller.path = start(pair, &pair->caller, true, pair->fds[0]);
	path_free(pair->caller.path);
	pair->caller.path = NULL;
	fcntl(pair->fds[1], F_SETFL, 0);
	assert_int_equal(recv(pair->fds[1], &byte, 1, 0), 0);
	close(pair->fds[1]);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
	return value;
}

/* Everything that punching sets, or might; "fresh" is what the system gives to a new socket */
static void assert_as_fresh(int fd)
{
	static const int options[][2] = {
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_REUSEPORT }, { SOL_SOCKET, SO_OOBINLINE },
		{ SOL_SOCKET, SO_RCVLOWAT }, { SOL_SOCKET, SO_PRIORITY }, { SOL_SOCKET, SO_LINGER },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_CORK }, { IPPROTO_TCP, TCP_USER_TIMEOUT },
		{ IPPROTO_TCP, TCP_SYNCNT }, { IPPROTO_TCP, TCP_LINGER2 }, { IPPROTO_IP, IP_TTL },
		{ IPPROTO_IP, IP_MINTTL }, { IPPROTO_IP, IP_TOS }, { IPPROTO_IP, IP_RECVERR },
	};
	int fresh = socket(AF_INET, SOCK_STREAM, 0), locks = -1;
	socklen_t size = sizeof(locks);
	unsigned int i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (option(fd, options[i][0], options[i][1]) != option(fresh, options[i][0], options[i][1]))
			fail_msg("level %d option %d", options[i][0], options[i][1]);
	/* Buffers still grow by themselves */
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &size), 0);
	assert_int_equal(locks, 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	close(fresh);
}

static void the_released_socket_is_as_fresh(void **state)
{
	struct pair *pair = *state;
	int on = 1, two = 2, fd;

	setsockopt(pair->fds[0], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(pair->fds[0], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	setsockopt(pair->fds[0], IPPROTO_IP, IP_MINTTL, &two, sizeof(two));
	pair->caller.nominate = true;
	both(pair);
	run(pair, 50);
	fd = path_release(pair->caller.path);
	assert_as_fresh(fd);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	close(fd);
	fd = path_release(pair->callee.path);
	assert_as_fresh(fd);
	close(fd);
}

static void a_dead_far_end_is_given_up_no_earlier_than_by_default(void **state)
{
	struct pair *pair = *state;
	int fresh = socket(AF_INET, SOCK_STREAM, 0), fd, idle, interval, probes;
	int patience = option(fresh, IPPROTO_TCP, TCP_KEEPIDLE) +
		       option(fresh, IPPROTO_TCP, TCP_KEEPINTVL) * option(fresh, IPPROTO_TCP, TCP_KEEPCNT);

	close(fresh);
	pair->caller.nominate = true;
	pair->caller.keepalive = 120;
	both(pair);
	run(pair, 50);
	fd = path_release(pair->caller.path);
	idle = option(fd, IPPROTO_TCP, TCP_KEEPIDLE);
	interval = option(fd, IPPROTO_TCP, TCP_KEEPINTVL);
	probes = option(fd, IPPROTO_TCP, TCP_KEEPCNT);
	assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(idle, 120);
	assert_int_equal(interval, 120);
	assert_in_range(idle + interval * probes, patience - 120, patience);
	close(fd);
}

static void keepalive_follows_what_nats_forget(void **state)
{
	(void)state;
	assert_int_equal(keepalive_idle(CONF_KEEPALIVE_AUTO, 0), 120);
	assert_int_equal(keepalive_idle(CONF_KEEPALIVE_AUTO, 7440), 120);
	assert_int_equal(keepalive_idle(CONF_KEEPALIVE_AUTO, 60), 30);
	assert_int_equal(keepalive_idle(CONF_KEEPALIVE_AUTO, 3), 10);
	assert_int_equal(keepalive_idle(CONF_KEEPALIVE_NO, 60), 0);
	assert_int_equal(keepalive_idle(45, 60), 45);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(proven_and_nominated, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_nominated_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(program_bytes_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(other_secret_is_disproved, setup, teardown),
		cmocka_unit_test_setup_teardown(other_session_is_disproved, setup, teardown),
		cmocka_unit_test_setup_teardown(echo_of_our_own_preamble_proves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_relayed_hello_is_good_on_a_relayed_path_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(preamble_in_single_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(far_end_that_closes_is_dead_not_disproved, setup, teardown),
		cmocka_unit_test_setup_teardown(a_loser_ends_by_fin, setup, teardown),
		cmocka_unit_test_setup_teardown(the_released_socket_is_as_fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_far_end_is_given_up_no_earlier_than_by_default, setup, teardown),
		cmocka_unit_test(keepalive_follows_what_nats_forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
