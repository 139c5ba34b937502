/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_splice.c - two sockets joined: every byte, both ends' ends, bounded memory
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "resolver/splice.c"

#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#define BULK (24u << 20)	/* bytes: more than all socket buffers between hold, grown as they may */

static struct node node;

/* near -- a == b -- far */
struct joint {
	int near, a, b, far;
};

static int begin(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	node.base = event_base_new();
	node.splices = splices_new(&node);
	return node.base && node.splices ? world_isolate() : -1;
}

static int end(void **state)
{
	(void)state;
	splices_free(node.splices);
	event_base_free(node.base);
	return 0;
}

static void tcp_pair(int fds[2])
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(sin);

	assert_int_equal(bind(listener, (struct sockaddr *)&sin, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sin, &size), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sin, size), 0);
	fds[1] = accept(listener, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(listener);
}

static struct joint join(void)
{
	int left[2], right[2];

	tcp_pair(left);
	tcp_pair(right);
	assert_int_equal(splice_start(node.splices, left[1], right[0]), 0);
	return (struct joint){ .near = left[0], .a = left[1], .b = right[0], .far = right[1] };
}

static bool is_readable(void *arg)
{
	struct pollfd pollfd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static bool is_over(void *arg)
{
	(void)arg;
	return splices_count(node.splices) == 0;
}

static void expect(int fd, const char *text)
{
	char got[64] = "";

	assert_true(world_until(node.base, is_readable, &fd));
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), (ssize_t)strlen(text));
	assert_string_equal(got, text);
}

static void each_direction_ends_by_itself(void **state)
{
	struct joint j = join();

	(void)state;
	assert_int_equal(send(j.near, "question", 8, 0), 8);
	shutdown(j.near, SHUT_WR);
	expect(j.far, "question");
	expect(j.far, "");		/* the end */
	assert_int_equal(send(j.far, "answer", 6, 0), 6);
	expect(j.near, "answer");
	assert_int_equal(splices_count(node.splices), 1);
	shutdown(j.far, SHUT_WR);
	expect(j.near, "");
	assert_true(world_until(node.base, is_over, NULL));
	close(j.near);
	close(j.far);
}

struct flow {
	int from, to;
	size_t sent, received;
	bool reading;
};

/* Non-blocking pump of a pattern; complete when all was received */
static bool is_flowed(void *arg)
{
	struct flow *flow = arg;
	uint8_t data[65536];
	ssize_t n;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)((flow->sent + i) * 131 >> 7);
	if (flow->sent < BULK) {
		size_t size = BULK - flow->sent < sizeof(data) ? BULK - flow->sent : sizeof(data);

		n = send(flow->from, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		flow->sent += n > 0 ? (size_t)n : 0;
		if (flow->sent == BULK)
			shutdown(flow->from, SHUT_WR);
	}
	while (flow->reading && (n = recv(flow->to, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(data[i], (uint8_t)((flow->received + (size_t)i) * 131 >> 7));
		flow->received += (size_t)n;
	}
	return flow->received == BULK;
}

static void no_byte_is_lost_behind_a_slow_reader(void **state)
{
	struct joint j = join();
	struct flow flow = { .from = j.near, .to = j.far };
	size_t before = mallinfo2().uordblks;

	(void)state;
	for (int i = 0; i < 600; i++) {		/* fills every buffer on the way */
		is_flowed(&flow);
		event_base_loop(node.base, EVLOOP_NONBLOCK);
	}
	assert_true(flow.sent < BULK);
	assert_true(mallinfo2().uordblks - before < 512 * 1024);	/* one chunk is kept, not the stream */
	flow.reading = true;
	assert_true(world_until(node.base, is_flowed, &flow));
	expect(j.far, "");
	close(j.near);
	close(j.far);
	assert_true(world_until(node.base, is_over, NULL));
}

static void a_reset_is_passed_on_as_one(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct joint j = join();
	char byte;

	(void)state;
	assert_int_equal(setsockopt(j.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(j.near);
	assert_true(world_until(node.base, is_over, NULL));
	assert_int_equal(recv(j.far, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(j.far);
}

static bool has_broken(void *arg)
{
	struct pollfd pollfd = { .fd = *(int *)arg };

	return poll(&pollfd, 1, 0) == 1 && pollfd.revents & POLLERR;
}

static void a_reset_after_the_end_is_passed_on(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct joint j = join();

	(void)state;
	shutdown(j.near, SHUT_WR);
	expect(j.far, "");
	assert_int_equal(setsockopt(j.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(j.near);
	assert_true(world_until(node.base, has_broken, &j.far));
	assert_true(world_until(node.base, is_over, NULL));
	close(j.far);
}

/* As a server does that will not have the rest of a large request */
static void an_answer_before_a_reset_arrives(void **state)
{
	struct joint j = join();
	struct flow flow = { .from = j.near, .to = j.far };
	char got[8] = "";

	(void)state;
	for (int i = 0; i < 600; i++) {
		is_flowed(&flow);
		event_base_loop(node.base, EVLOOP_NONBLOCK);
	}
	assert_true(flow.sent < BULK);
	assert_int_equal(send(j.far, "413", 3, 0), 3);
	close(j.far);			/* with bytes that it has not read: a reset */
	assert_true(world_until(node.base, is_over, NULL));
	assert_int_equal(recv(j.near, got, sizeof(got), 0), 3);
	assert_string_equal(got, "413");
	assert_int_equal(recv(j.near, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(j.near);
}

/* The writer has ended, and is reset, long before the reader is through */
static void a_reset_after_the_end_overtakes_nothing(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct joint j = join();
	static char data[1 << 20];
	size_t got = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(send(j.near, data, sizeof(data), 0), (ssize_t)sizeof(data));
	shutdown(j.near, SHUT_WR);
	for (int i = 0; i < 5; i++)
		world_turn(node.base, 100);
	assert_int_equal(setsockopt(j.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(j.near);
	for (int i = 0; i < 5; i++)
		world_turn(node.base, 100);
	assert_int_equal(splices_count(node.splices), 1);
	do {
		world_turn(node.base, 1);
		n = recv(j.far, data, sizeof(data), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	assert_int_equal(n, 0);
	assert_int_equal(got, sizeof(data));
	assert_true(world_until(node.base, is_over, NULL));
	close(j.far);
}

/* The far end takes nothing: a reset is noticed all the same */
static void who_does_not_read_hides_no_reset(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct joint j = join();
	struct flow flow = { .from = j.near, .to = j.far };
	struct pair *pair = LIST_FIRST(&node.splices->pairs);

	(void)state;
	for (int i = 0; i < 600; i++) {
		is_flowed(&flow);
		event_base_loop(node.base, EVLOOP_NONBLOCK);
	}
	assert_true(evtimer_pending(pair->timer, NULL));
	assert_int_equal(setsockopt(j.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(j.near);
	for (unsigned int i = 0; i < 2 * OUTQUEUE_PATIENCE && splices_count(node.splices); i++)
		on_pair(-1, EV_TIMEOUT, pair);
	assert_int_equal(splices_count(node.splices), 0);
	assert_int_equal(outqueue_error(j.far), -ECONNRESET);
	close(j.far);
}

/* As when the resolver is killed: the kernel closes what it had */
static void a_death_is_no_end(void **state)
{
	struct joint j = join();
	char byte;

	(void)state;
	close(j.a);
	close(j.b);
	assert_int_equal(recv(j.near, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(recv(j.far, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(j.near);
	close(j.far);
	j.a = open("/dev/null", O_RDWR | O_CLOEXEC);	/* for its close() */
	j.b = open("/dev/null", O_RDWR | O_CLOEXEC);
	pair_free(LIST_FIRST(&node.splices->pairs));
}

static void the_number_of_pairs_is_bounded(void **state)
{
	static int nears[SPLICES_MAX], fars[SPLICES_MAX];
	int left[2], right[2], n;
	char byte;

	(void)state;
	for (n = 0; n < SPLICES_MAX; n++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, left), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, right), 0);
		assert_int_equal(splice_start(node.splices, left[1], right[1]), 0);
		nears[n] = left[0];
		fars[n] = right[0];
	}
	assert_int_equal(splices_count(node.splices), SPLICES_MAX);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, left), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, right), 0);
	assert_int_equal(splice_start(node.splices, left[1], right[1]), -EUSERS);
	assert_int_equal(recv(left[0], &byte, 1, 0), 0);	/* both were closed */
	assert_int_equal(recv(right[0], &byte, 1, 0), 0);
	close(left[0]);
	close(right[0]);
	for (n = 0; n < SPLICES_MAX; n++) {
		close(nears[n]);
		close(fars[n]);
	}
	assert_true(world_until(node.base, is_over, NULL));
}

/* Neither can a file be waited for, nor a socket where the user's watches (fs.epoll.max_user_watches) are used up */
static void what_cannot_be_waited_for_is_closed(void **state)
{
	int left[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);
	char byte;

	(void)state;
	tcp_pair(left);
	assert_int_equal(splice_start(node.splices, left[1], file), -ENOBUFS);
	assert_int_equal(recv(left[0], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(fcntl(file, F_GETFD), -1);
	assert_int_equal(splices_count(node.splices), 0);
	close(left[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_direction_ends_by_itself),
		cmocka_unit_test(no_byte_is_lost_behind_a_slow_reader),
		cmocka_unit_test(a_reset_is_passed_on_as_one),
		cmocka_unit_test(a_reset_after_the_end_is_passed_on),
		cmocka_unit_test(an_answer_before_a_reset_arrives),
		cmocka_unit_test(a_reset_after_the_end_overtakes_nothing),
		cmocka_unit_test(who_does_not_read_hides_no_reset),
		cmocka_unit_test(a_death_is_no_end),
		cmocka_unit_test(the_number_of_pairs_is_bounded),
		cmocka_unit_test(what_cannot_be_waited_for_is_closed),
	};

	return cmocka_run_group_tests_name("resolver splice", tests, begin, end);
}
