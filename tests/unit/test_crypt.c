/* SPDX-License-Identifier: MIT */
/*
 * test_crypt.c - payload through real pumps: every byte, every kind of end, and nothing in the clear
 *
 * Two resolvers' crypt.c in one process, one the caller's and one the callee's; their pumps are
 * processes of their own, as ever: this program, executed again.
 *
 *	near == pump -- left ... wire ... right -- pump == far
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/log.h"
#include "resolver/crypt.h"
#include "resolver/node.h"
#include "resolver/pair.h"
#include "resolver/process.h"
#include "resolver/pump.h"
#include "resolver/seal.h"
#include "tests/unit/world.h"

#define PATIENCE (10 * SECOND)	/* us: far more than a handshake takes */
#define BULK	(24u << 20)	/* bytes: more than all buffers between hold */

static struct node node;
static uint8_t session[SESSION_SIZE] = "a session's name";
static uint8_t key[32] = "thirty-two bytes of a secret key";

/* What came of one job */
struct outcome {
	bool done;
	int error, fd;
	enum encrypt_cover cover;
};

struct line {
	struct crypts *sides[2];
	int near, far;
	int wire[2];		/* what lies between the pumps, when we stand there; else -1 */
};

static void on_done(void *arg, const struct crypt_result *result)
{
	struct outcome *outcome = arg;

	outcome->done = true;
	outcome->error = result->error;
	outcome->fd = result->fd;
	outcome->cover = result->cover;
}

static bool are_done(void *arg)
{
	const struct outcome *outcomes = arg;

	return outcomes[0].done && outcomes[1].done;
}

/* A path with a pump at either end; @far_key: what the callee believes the key to be */
static void shake(struct line *line, int left, int right, const uint8_t *far_key, struct outcome outcomes[2])
{
	memset(outcomes, 0, 2 * sizeof(*outcomes));
	if (!line->sides[0]) {
		line->sides[0] = crypts_new(&node);
		line->sides[1] = crypts_new(&node);
	}
	assert_non_null(crypt_start(line->sides[0], true, session, key, left, PATIENCE, on_done, &outcomes[0]));
	assert_non_null(crypt_start(line->sides[1], false, session, far_key, right, PATIENCE, on_done, &outcomes[1]));
}

static struct line line_of(int left, int right)
{
	struct line line = { .wire = { -1, -1 } };
	struct outcome outcomes[2];

	shake(&line, left, right, key, outcomes);
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, 0);
	assert_int_equal(outcomes[1].error, 0);
	line.near = outcomes[0].fd;
	line.far = outcomes[1].fd;
	return line;
}

static struct line line_new(void)
{
	int ends[2];

	assert_int_equal(pair_make(AF_INET, ends), 0);
	return line_of(ends[0], ends[1]);
}

static void line_end(struct line *line)
{
	if (line->near >= 0)
		close(line->near);
	if (line->far >= 0)
		close(line->far);
	crypts_free(line->sides[0]);
	crypts_free(line->sides[1]);
	for (int i = 0; i < 2; i++)
		if (line->wire[i] >= 0)
			close(line->wire[i]);
}

static void a_local_connection_is_not_paced(void **state)
{
	char name[16];
	int ends[2], i;

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	for (i = 0; i < 2; i++) {
		socklen_t size = sizeof(name);

		assert_int_equal(getsockopt(ends[i], IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
		assert_string_equal(name, "reno");
		close(ends[i]);
	}
}

static bool is_readable(void *arg)
{
	struct pollfd pollfd = { .fd = *(int *)arg, .events = POLLIN };

	return poll(&pollfd, 1, 0) == 1;
}

static void expect(int fd, const char *text)
{
	char got[64] = "";

	assert_true(world_until(node.base, is_readable, &fd));
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), (ssize_t)strlen(text));
	assert_string_equal(got, text);
}

static void expect_error(int fd, int error)
{
	char byte;

	assert_true(world_until(node.base, is_readable, &fd));
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, error);
}

/* ------------------------------------------------------------ ends */

static void each_direction_ends_by_itself(void **state)
{
	struct line line = line_new();

	(void)state;
	assert_int_equal(send(line.near, "question", 8, 0), 8);
	shutdown(line.near, SHUT_WR);
	expect(line.far, "question");
	expect(line.far, "");		/* the end */
	assert_int_equal(send(line.far, "answer", 6, 0), 6);
	expect(line.near, "answer");
	shutdown(line.far, SHUT_WR);
	expect(line.near, "");
	line_end(&line);
}

static void the_callee_may_speak_and_end_first(void **state)
{
	struct line line = line_new();

	(void)state;
	assert_int_equal(send(line.far, "220 ready", 9, 0), 9);
	close(line.far);
	line.far = -1;
	expect(line.near, "220 ready");
	expect(line.near, "");
	line_end(&line);
}

static void a_reset_is_passed_on_as_one(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct line line = line_new();

	(void)state;
	assert_int_equal(setsockopt(line.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(line.near);
	line.near = -1;
	expect_error(line.far, ECONNRESET);
	line_end(&line);
}

static bool has_broken(void *arg)
{
	struct pollfd pollfd = { .fd = *(int *)arg };

	/* the second where the error has been told already; an end in order is neither */
	return poll(&pollfd, 1, 0) == 1 && pollfd.revents & (POLLERR | POLLHUP);
}

static void a_reset_after_the_end_is_passed_on(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct line line = line_new();

	(void)state;
	shutdown(line.near, SHUT_WR);
	expect(line.far, "");
	assert_int_equal(setsockopt(line.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(line.near);
	line.near = -1;
	assert_true(world_until(node.base, has_broken, &line.far));
	line_end(&line);
}

static void fin_timeout(const char *seconds)
{
	int fd = open("/proc/sys/net/ipv4/tcp_fin_timeout", O_WRONLY);

	assert_int_equal(write(fd, seconds, strlen(seconds)), (ssize_t)strlen(seconds));
	close(fd);
}

/* Nothing says that it is no half-close; the far end is silent, and has its socket open */
static void a_program_that_has_closed_is_forgotten(void **state)
{
	struct line line;

	(void)state;
	fin_timeout("1");
	line = line_new();
	close(line.near);
	line.near = -1;
	expect(line.far, "");
	assert_true(world_until(node.base, has_broken, &line.far));
	line_end(&line);
	fin_timeout("60");
}

/* The times of a punched socket are made for its NATs */
static void the_keepalive_of_a_path_is_left_alone(void **state)
{
	const int on = 1, idle = 17;
	int ends[2], copy, got = 0;
	socklen_t size = sizeof(got);
	struct line line;

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(ends[0], IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle)), 0);
	copy = dup(ends[0]);
	line = line_of(ends[0], ends[1]);
	assert_int_equal(send(line.near, "flows", 5, 0), 5);
	expect(line.far, "flows");
	assert_int_equal(getsockopt(copy, IPPROTO_TCP, TCP_KEEPIDLE, &got, &size), 0);
	assert_int_equal(got, idle);
	close(copy);
	line_end(&line);
}

static void a_peek_and_an_urgent_byte_keep_the_order(void **state)
{
	struct line line = line_new();
	char got[8] = "";

	(void)state;
	assert_int_equal(send(line.near, "ab", 2, 0), 2);
	assert_true(world_until(node.base, is_readable, &line.far));
	assert_int_equal(recv(line.far, got, sizeof(got), MSG_PEEK), 2);
	expect(line.far, "ab");
	assert_int_equal(send(line.near, "u", 1, MSG_OOB), 1);
	expect(line.far, "u");		/* in line, and no longer urgent */
	line_end(&line);
}

/* ------------------------------------------------------------ bytes */

struct flow {
	int from, to;
	size_t size, sent, received, piece;
	bool reading;
};

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 131 >> 7 ^ i >> 20);
}

/* Non-blocking pump of a pattern; complete when all was received */
static bool is_flowed(void *arg)
{
	static uint8_t data[65536];
	struct flow *flow = arg;
	ssize_t n;

	for (int turn = 0; turn < 200 && flow->sent < flow->size; turn++) {
		size_t size = flow->size - flow->sent < flow->piece ? flow->size - flow->sent : flow->piece;

		for (size_t i = 0; i < size; i++)
			data[i] = pattern(flow->sent + i);
		n = send(flow->from, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break;
		flow->sent += (size_t)n;
		if (flow->sent == flow->size)
			shutdown(flow->from, SHUT_WR);
	}
	while (flow->reading && (n = recv(flow->to, data, sizeof(data), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(data[i], pattern(flow->received + (size_t)i));
		flow->received += (size_t)n;
	}
	return flow->received == flow->size;
}

static void no_byte_is_lost_in_either_direction(void **state)
{
	struct line line = line_new();
	struct flow there = { .from = line.near, .to = line.far, .size = BULK, .piece = 65536, .reading = true };
	struct flow back = { .from = line.far, .to = line.near, .size = BULK, .piece = 40001, .reading = true };

	(void)state;
	for (int i = 0; i < 20; i++) {		/* both at once */
		is_flowed(&there);
		is_flowed(&back);
	}
	assert_true(world_until(node.base, is_flowed, &there));
	assert_true(world_until(node.base, is_flowed, &back));
	expect(line.far, "");
	expect(line.near, "");
	line_end(&line);
}

static void tiny_writes_arrive_whole(void **state)
{
	struct line line = line_new();
	struct flow flow = { .from = line.near, .to = line.far, .size = 60000, .piece = 1, .reading = true };
	const int on = 1;

	(void)state;
	setsockopt(line.near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	assert_true(world_until(node.base, is_flowed, &flow));
	line_end(&line);
}

static bool is_stuck(void *arg)
{
	struct flow *flow = arg;
	size_t before = flow->sent;

	is_flowed(flow);
	world_turn(node.base, 50);
	return flow->sent == before;
}

static void a_slow_reader_slows_the_writer(void **state)
{
	struct line line = line_new();
	struct flow flow = { .from = line.near, .to = line.far, .size = 200u << 20, .piece = 65536 };
	size_t held;

	(void)state;
	assert_true(world_until(node.base, is_stuck, &flow));
	held = flow.sent;
	assert_true(held < flow.size / 2);
	flow.size = held + 1;			/* enough */
	flow.reading = true;
	assert_true(world_until(node.base, is_flowed, &flow));
	expect(line.far, "");
	line_end(&line);
}

/* Its program is gone, and forgotten by the kernel, long before the reader is through */
static void a_slow_reader_gets_all_of_a_program_that_has_closed(void **state)
{
	struct flow flow = { .size = 2u << 20, .piece = 65536 };
	struct line line;

	(void)state;
	fin_timeout("1");
	line = line_new();
	flow.from = line.near;
	flow.to = line.far;
	while (flow.sent < flow.size) {
		is_flowed(&flow);
		world_turn(node.base, 10);
	}
	close(line.near);
	line.near = -1;
	for (int i = 0; i < 50; i++)
		world_turn(node.base, 100);
	flow.reading = true;
	assert_true(world_until(node.base, is_flowed, &flow));
	expect(line.far, "");
	line_end(&line);
	fin_timeout("60");
}

/* As a server does that will not have the rest of a large request */
static void an_answer_before_a_reset_arrives(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct line line = line_new();
		struct flow flow = { .from = line.near, .to = line.far, .size = 200u << 20, .piece = 65536 };

		assert_true(world_until(node.base, is_stuck, &flow));
		assert_int_equal(send(line.far, "413", 3, 0), 3);
		close(line.far);		/* with bytes that it has not read: a reset */
		line.far = -1;
		expect(line.near, "413");
		expect_error(line.near, ECONNRESET);
		line_end(&line);
	}
}

static bool has_broken_behind_all(void *arg)
{
	struct flow *flow = arg;

	is_flowed(flow);
	return has_broken(&flow->to);
}

/* Nobody takes what it has written: its reset is noticed all the same, and the far end sees it behind all that it reads */
static void a_reset_behind_a_stalled_reader_is_passed_on(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct line line = line_new();
	struct flow flow = { .from = line.near, .to = line.far, .size = 200u << 20, .piece = 65536 };

	(void)state;
	assert_true(world_until(node.base, is_stuck, &flow));
	assert_int_equal(setsockopt(line.near, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(line.near);
	line.near = -1;
	flow.size = flow.sent;
	for (int i = 0; i < 70; i++)
		world_turn(node.base, 100);
	flow.reading = true;
	assert_true(world_until(node.base, has_broken_behind_all, &flow));
	assert_in_range(flow.received, 1 << 16, flow.sent);
	line_end(&line);
}

static void files_can_be_sent(void **state)
{
	struct line line = line_new();
	struct flow flow = { .to = line.far, .size = 3u << 20, .sent = 3u << 20, .reading = true };
	FILE *file = tmpfile();
	off_t at = 0;

	(void)state;
	for (size_t i = 0; i < flow.size; i++)
		fputc(pattern(i), file);
	fflush(file);
	while (at < (off_t)flow.size) {
		struct pollfd writable = { .fd = line.near, .events = POLLOUT };

		poll(&writable, 1, 10);
		is_flowed(&flow);
		fcntl(line.near, F_SETFL, O_NONBLOCK);
		assert_true(sendfile(line.near, fileno(file), &at, 1 << 20) >= 0 || errno == EAGAIN);
	}
	assert_true(world_until(node.base, is_flowed, &flow));
	fclose(file);
	line_end(&line);
}

/* ------------------------------------------------------------ between the pumps */

/* We carry the bytes between the two, and look at them */
struct tap {
	int a, b;
	const char *plain;
	bool seen;
	size_t carried;
	size_t flip;		/* alter the byte at this place on the way from a to b; 0: none */
	bool cut;		/* pass on an end of file */
};

static void carry(struct tap *tap, int from, int to, bool forward)
{
	static uint8_t data[65536];
	ssize_t n = recv(from, data, sizeof(data), MSG_DONTWAIT);

	if (n <= 0)
		return;
	if (tap->plain && memmem(data, (size_t)n, tap->plain, strlen(tap->plain)))
		tap->seen = true;
	if (forward && tap->flip > tap->carried && tap->flip <= tap->carried + (size_t)n)
		data[tap->flip - tap->carried - 1] ^= 1;
	if (forward)
		tap->carried += (size_t)n;
	assert_int_equal(send(to, data, (size_t)n, MSG_NOSIGNAL), n);
}

static void tap_turn(struct tap *tap)
{
	carry(tap, tap->a, tap->b, true);
	carry(tap, tap->b, tap->a, false);
}

struct tapped {
	struct tap *tap;
	bool (*condition)(void *arg);
	void *arg;
};

static bool is_tapped(void *arg)
{
	struct tapped *tapped = arg;

	tap_turn(tapped->tap);
	return tapped->condition(tapped->arg);
}

static bool until(struct tap *tap, bool (*condition)(void *arg), void *arg)
{
	struct tapped tapped = { .tap = tap, .condition = condition, .arg = arg };

	return world_until(node.base, is_tapped, &tapped);
}

static void tapped_line(struct line *line, struct tap *tap, struct outcome outcomes[2])
{
	int left[2], right[2];

	memset(line, 0, sizeof(*line));
	assert_int_equal(pair_make(AF_INET, left), 0);
	assert_int_equal(pair_make(AF_INET, right), 0);
	tap->a = line->wire[0] = left[1];
	tap->b = line->wire[1] = right[1];
	shake(line, left[0], right[0], key, outcomes);
	assert_true(until(tap, are_done, outcomes));
	line->near = outcomes[0].fd;
	line->far = outcomes[1].fd;
}

static void nothing_is_in_the_clear(void **state)
{
	struct tap tap = { .plain = "meet me" };
	struct outcome outcomes[2];
	struct line line;

	(void)state;
	tapped_line(&line, &tap, outcomes);
	assert_int_equal(send(line.near, "meet me at noon", 15, 0), 15);
	assert_true(until(&tap, is_readable, &line.far));
	expect(line.far, "meet me at noon");
	assert_int_equal(send(line.far, "no, meet me at one", 18, 0), 18);
	assert_true(until(&tap, is_readable, &line.near));
	expect(line.near, "no, meet me at one");
	assert_true(tap.carried > 100);
	assert_false(tap.seen);
	line_end(&line);
}

static void an_altered_byte_ends_it(void **state)
{
	struct tap tap = { 0 };
	struct outcome outcomes[2];
	struct line line;

	(void)state;
	tapped_line(&line, &tap, outcomes);
	assert_int_equal(outcomes[0].error, 0);
	tap.flip = tap.carried + 10;
	assert_int_equal(send(line.near, "to be altered", 13, 0), 13);
	assert_true(until(&tap, is_readable, &line.far));
	expect_error(line.far, ECONNRESET);
	line_end(&line);
}

static void an_altered_handshake_fails(void **state)
{
	struct tap tap = { .flip = 60 };
	struct outcome outcomes[2];
	struct line line;

	(void)state;
	tapped_line(&line, &tap, outcomes);
	assert_int_not_equal(outcomes[0].error, 0);
	assert_int_equal(outcomes[1].error, EACCES);
	line_end(&line);
}

static void a_cut_is_no_end(void **state)
{
	struct tap tap = { 0 };
	struct outcome outcomes[2];
	struct line line;

	(void)state;
	tapped_line(&line, &tap, outcomes);
	assert_int_equal(send(line.near, "half", 4, 0), 4);
	assert_true(until(&tap, is_readable, &line.far));
	shutdown(tap.b, SHUT_WR);	/* an orderly FIN, but not by whom has the key */
	expect(line.far, "half");
	expect_error(line.far, ECONNRESET);
	line_end(&line);
}

static void another_key_is_refused(void **state)
{
	static const uint8_t other[32] = "thirty-two bytes of another key.";
	struct outcome outcomes[2];
	struct line line = { .near = -1, .far = -1, .wire = { -1, -1 } };
	int ends[2];

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	shake(&line, ends[0], ends[1], other, outcomes);
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[1].error, EACCES);
	assert_int_not_equal(outcomes[0].error, 0);
	assert_int_equal(outcomes[0].fd, -1);
	line_end(&line);
}

static void plain_text_is_refused(void **state)
{
	struct crypts *side = crypts_new(&node);
	struct outcome outcomes[2] = { { 0 }, { .done = true } };
	int ends[2];

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	assert_non_null(crypt_start(side, false, session, key, ends[0], PATIENCE, on_done, &outcomes[0]));
	assert_int_equal(send(ends[1], "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, EACCES);
	crypts_free(side);
	close(ends[1]);
}

/* Each job has its own patience: the second one's is over while the first one still waits */
static void silence_is_borne_as_long_as_was_said(void **state)
{
	struct crypts *side = crypts_new(&node);
	struct outcome outcomes[2] = { { .done = false }, { .done = true } };
	int patient[2], ends[2];

	(void)state;
	assert_int_equal(pair_make(AF_INET, patient), 0);
	assert_int_equal(pair_make(AF_INET, ends), 0);
	assert_non_null(crypt_start(side, false, session, key, patient[0], PATIENCE, on_done, &outcomes[1]));
	assert_non_null(crypt_start(side, true, session, key, ends[0], 50 * MS, on_done, &outcomes[0]));
	outcomes[1].done = true;
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, ETIMEDOUT);
	assert_int_equal(outcomes[1].error, 0);
	crypts_free(side);
	close(patient[1]);
	close(ends[1]);
}

/* ------------------------------------------------------------ processes */

static unsigned int children(pid_t pids[], unsigned int most)
{
	char path[64], text[1024] = "", *next;
	unsigned int count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "r");
	assert_non_null(file);
	if (fgets(text, sizeof(text), file)) {
		for (next = strtok(text, " "); next && count < most; next = strtok(NULL, " "))
			pids[count++] = (pid_t)atoi(next);
	}
	fclose(file);
	return count;
}

static bool are_gone(void *arg)
{
	pid_t pids[64];

	(void)arg;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return children(pids, 64) == 0;
}

static void connections_outlive_the_resolver(void **state)
{
	struct line line = line_new();

	(void)state;
	crypts_free(line.sides[0]);
	crypts_free(line.sides[1]);
	line.sides[0] = line.sides[1] = NULL;
	world_turn(node.base, 50);
	assert_int_equal(send(line.near, "still", 5, 0), 5);
	expect(line.far, "still");
	assert_int_equal(send(line.far, "here", 4, 0), 4);
	expect(line.near, "here");
	line_end(&line);
	assert_true(world_until(node.base, are_gone, NULL));	/* and then nothing is left of it */
}

static void a_killed_pump_takes_only_its_own(void **state)
{
	struct line line;
	struct outcome outcomes[2];
	pid_t pids[64];
	int ends[2], other_near, other_far;
	unsigned int count;

	(void)state;
	assert_true(world_until(node.base, are_gone, NULL));
	line = line_new();
	count = children(pids, 64);
	assert_int_equal(count, 2);
	assert_int_equal(pair_make(AF_INET, ends), 0);
	shake(&line, ends[0], ends[1], key, outcomes);		/* with pumps of its own, where there are two processors */
	assert_true(world_until(node.base, are_done, outcomes));
	other_near = outcomes[0].fd;
	other_far = outcomes[1].fd;
	if (children(pids, 64) == 2) {
		print_message("SKIP one pump a processor: there is one processor\n");
		skip();
	}
	kill(pids[0], SIGKILL);		/* of the first connection, the caller's */
	expect_error(line.near, ECONNRESET);
	expect_error(line.far, ECONNRESET);
	assert_int_equal(send(other_near, "alive", 5, 0), 5);
	expect(other_far, "alive");
	close(other_near);
	close(other_far);
	close(line.near);
	close(line.far);
	/* the next one starts a new pump in its place */
	assert_int_equal(pair_make(AF_INET, ends), 0);
	shake(&line, ends[0], ends[1], key, outcomes);
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, 0);
	line.near = outcomes[0].fd;
	line.far = outcomes[1].fd;
	assert_int_equal(send(line.near, "again", 5, 0), 5);
	expect(line.far, "again");
	line_end(&line);
}

static void who_gives_up_leaves_nothing_behind(void **state)
{
	struct crypts *side = crypts_new(&node);
	struct outcome outcome = { 0 };
	struct crypt_job *job;
	int ends[2];

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	job = crypt_start(side, true, session, key, ends[0], PATIENCE, on_done, &outcome);
	assert_non_null(job);
	crypt_cancel(job);
	crypts_free(side);
	assert_true(world_until(node.base, are_gone, NULL));
	assert_false(outcome.done);
	close(ends[1]);
}

/* Its pump has done the handshake and wants a local end that nobody needs any more */
static void who_gives_up_late_leaves_nothing_behind(void **state)
{
	struct crypts *sides[2] = { crypts_new(&node), crypts_new(&node) };
	struct outcome outcomes[2] = { { 0 } };
	struct crypt_job *job;
	uint64_t start = clock_now();
	int ends[2];

	(void)state;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	job = crypt_start(sides[0], true, session, key, ends[0], PATIENCE, on_done, &outcomes[0]);
	assert_non_null(crypt_start(sides[1], false, session, key, ends[1], PATIENCE, on_done, &outcomes[1]));
	crypt_cancel(job);
	outcomes[0].done = true;
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[1].error, 0);
	expect_error(outcomes[1].fd, ECONNRESET);
	assert_true(clock_now() - start < PATIENCE);	/* it was told, and did not lose its patience */
	close(outcomes[1].fd);
	crypts_free(sides[0]);
	crypts_free(sides[1]);
	assert_true(world_until(node.base, are_gone, NULL));
}

/* Which has nothing to do with pump.c; see main() */
static struct crypt_job *fake_pump(struct crypts *side, const char *how, struct outcome *outcome, int *far)
{
	struct crypt_job *job;
	int ends[2];

	assert_true(world_until(node.base, are_gone, NULL));
	assert_int_equal(pair_make(AF_INET, ends), 0);
	setenv("PUNCH_KTLS", how, 1);	/* of what a pump gets from our environment */
	job = crypt_start(side, true, session, key, ends[0], PATIENCE, on_done, outcome);
	setenv("PUNCH_KTLS", "no", 1);
	*far = ends[1];
	return job;
}

static bool are_waited_for(void *arg)
{
	pid_t pids[64];

	(void)arg;
	return children(pids, 64) == 0;
}

static void a_pump_that_says_rubbish_is_ended(void **state)
{
	struct outcome outcomes[2] = { { .done = false }, { .done = true } };
	struct crypts *side = crypts_new(&node);
	int far;

	(void)state;
	assert_non_null(fake_pump(side, "rubbish", &outcomes[0], &far));
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, ECONNRESET);
	assert_true(world_until(node.base, are_waited_for, NULL));
	crypts_free(side);
	close(far);
}

static void a_pump_that_hangs_up_and_lives_on_keeps_nobody_waiting(void **state)
{
	struct outcome outcomes[2] = { { .done = false }, { .done = true } };
	struct crypts *side = crypts_new(&node);
	pid_t pids[64];
	int far;

	(void)state;
	assert_non_null(fake_pump(side, "deaf", &outcomes[0], &far));
	assert_true(world_until(node.base, are_done, outcomes));
	assert_int_equal(outcomes[0].error, ECONNRESET);
	assert_int_equal(children(pids, 64), 1);
	kill(pids[0], SIGKILL);
	assert_true(world_until(node.base, are_waited_for, NULL));
	crypts_free(side);
	close(far);
}

/* A process that strangers speak to gets no variable but those that it reads */
static void assert_bare(pid_t pid)
{
	static const char *const harmless[] = { "PUNCH_LOG=", "PUNCH_LOG_FILE=", "PUNCH_KTLS=", "LD_LIBRARY_PATH=", "OPENSSL_" };
	char path[64], text[8192];
	ssize_t size, used = 0;
	size_t at, i;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	while ((size = read(fd, text + used, sizeof(text) - 1 - (size_t)used)) > 0)
		used += size;
	close(fd);
	text[used] = '\0';
	for (at = 0; at < (size_t)used; at += strlen(text + at) + 1) {
		for (i = 0; i < COUNT(harmless) && strncmp(text + at, harmless[i], strlen(harmless[i])); i++)
			;
		if (i == COUNT(harmless))
			fail_msg("in the environment of a pump: %s", text + at);
	}
	assert_non_null(memmem(text, (size_t)used, "PUNCH_LOG=error", 15));
	assert_non_null(memmem(text, (size_t)used, "PUNCH_KTLS=no", 13));
}

static void a_pump_has_no_secret_in_its_environment(void **state)
{
	struct line line;
	pid_t pids[64];
	unsigned int count;

	(void)state;
	assert_true(world_until(node.base, are_gone, NULL));
	setenv("PUNCH_SECRET", "the word of quick mode", 1);
	setenv("PUNCH_RESOLVER_TOKEN", "abcdef", 1);
	setenv("A_PROGRAMS_PASSWORD", "another secret", 1);
	setenv("PUNCH_LOG", "error", 1);
	line = line_new();
	count = children(pids, 64);
	assert_true(count > 0);
	while (count--)
		assert_bare(pids[count]);
	line_end(&line);
	unsetenv("PUNCH_SECRET");
	unsetenv("PUNCH_RESOLVER_TOKEN");
	unsetenv("A_PROGRAMS_PASSWORD");
}

static int begin(void **state)
{
	struct rlimit files;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	setenv("PUNCH_KTLS", "no", 1);
	node.base = event_base_new();
	return node.base ? world_isolate() : -1;
}

static int end(void **state)
{
	(void)state;
	event_base_free(node.base);
	return 0;
}

int main(int argc, char **argv)
{
	const char *how = getenv("PUNCH_KTLS");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_local_connection_is_not_paced),
		cmocka_unit_test(each_direction_ends_by_itself),
		cmocka_unit_test(the_callee_may_speak_and_end_first),
		cmocka_unit_test(a_reset_is_passed_on_as_one),
		cmocka_unit_test(a_reset_after_the_end_is_passed_on),
		cmocka_unit_test(a_program_that_has_closed_is_forgotten),
		cmocka_unit_test(the_keepalive_of_a_path_is_left_alone),
		cmocka_unit_test(a_peek_and_an_urgent_byte_keep_the_order),
		cmocka_unit_test(no_byte_is_lost_in_either_direction),
		cmocka_unit_test(tiny_writes_arrive_whole),
		cmocka_unit_test(a_slow_reader_slows_the_writer),
		cmocka_unit_test(a_slow_reader_gets_all_of_a_program_that_has_closed),
		cmocka_unit_test(an_answer_before_a_reset_arrives),
		cmocka_unit_test(a_reset_behind_a_stalled_reader_is_passed_on),
		cmocka_unit_test(files_can_be_sent),
		cmocka_unit_test(nothing_is_in_the_clear),
		cmocka_unit_test(an_altered_byte_ends_it),
		cmocka_unit_test(an_altered_handshake_fails),
		cmocka_unit_test(a_cut_is_no_end),
		cmocka_unit_test(another_key_is_refused),
		cmocka_unit_test(plain_text_is_refused),
		cmocka_unit_test(silence_is_borne_as_long_as_was_said),
		cmocka_unit_test(connections_outlive_the_resolver),
		cmocka_unit_test(a_killed_pump_takes_only_its_own),
		cmocka_unit_test(who_gives_up_leaves_nothing_behind),
		cmocka_unit_test(who_gives_up_late_leaves_nothing_behind),
		cmocka_unit_test(a_pump_that_says_rubbish_is_ended),
		cmocka_unit_test(a_pump_that_hangs_up_and_lives_on_keeps_nobody_waiting),
		cmocka_unit_test(a_pump_has_no_secret_in_its_environment),
	};

	if (argc == 2 && strcmp(argv[1], "--pump") == 0 && how && strcmp(how, "no") != 0) {
		if (strcmp(how, "deaf") == 0)
			process_clean(PUMP_LINK_FD);
		else if (write(PUMP_LINK_FD, "?", 1) != 1)
			return 1;
		alarm(60);		/* if nobody ends it */
		for (;;)
			pause();
	}
	if (argc == 2 && strcmp(argv[1], "--pump") == 0) {
		process_title_init(argc, argv);
		process_clean(PUMP_LINK_FD + 1);
		log_init("pump", getenv("PUNCH_LOG"), NULL);
		return pump_run(PUMP_LINK_FD);
	}
	return cmocka_run_group_tests_name("crypt", tests, begin, end);
}
