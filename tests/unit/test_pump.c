/* SPDX-License-Identifier: MIT */
/*
 * test_pump.c - what a pump tells of itself, and what it does without memory
 *
 * pump.c within this process: its link is ours, and there is a kernel that takes keys, wherever the test runs.
 */
#include <event2/event.h>

static struct event *scarce_event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback,
				      void *arg);

#define event_new scarce_event_new
#include "resolver/pump.c"
#undef event_new

#include <signal.h>

#include "resolver/pair.h"
#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#define PATIENCE (10 * SECOND)

static struct pump pump;
static int resolver;			/* the other end of the link */
static bool kernel;
static unsigned int events_left;	/* until there is no memory for one */

static struct event *scarce_event_new(struct event_base *base, evutil_socket_t fd, short what, event_callback_fn callback,
				      void *arg)
{
	return events_left && events_left-- ? event_new(base, fd, what, callback, arg) : NULL;
}

unsigned int ktls_offer(void)
{
	return kernel ? SEAL_KERNEL_CHACHA : 0;
}

int ktls_install(int fd, const struct seal_keys *keys)
{
	(void)fd;
	(void)keys;
	return 0;
}

void sandbox_pump(void)
{
}

static int begin(void **state)
{
	int ends[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (world_isolate() || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -1;
	resolver = ends[0];
	pump = (struct pump){ .base = event_base_new(), .link = ends[1] };
	TAILQ_INIT(&pump.connections);
	return pump.base ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	close(pump.link);
	close(resolver);
	event_base_free(pump.base);
	return 0;
}

static void job(bool caller, int fd)
{
	struct pump_job job_ = { .magic = PUMP_MAGIC, .order = PUMP_PATH, .caller = caller, .patience = PATIENCE };

	pumped_new(&pump, &job_, fd);
}

static struct pump_note hear(int *pass)
{
	struct pump_note note = { 0 };

	assert_int_equal(local_recv(resolver, &note, sizeof(note), pass), (ssize_t)sizeof(note));
	return note;
}

static bool is_noted(void *arg)
{
	(void)arg;
	return recv(resolver, &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void without_memory_a_job_fails(void **state)
{
	struct pump_note note;
	int ends[2], pass;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		events_left = i;
		assert_int_equal(pair_make(AF_INET, ends), 0);
		job(true, ends[0]);
		note = hear(&pass);
		assert_int_equal(note.what, PUMP_FAILED);
		assert_int_equal(note.error, ENOMEM);
		assert_int_equal(note.connections, 0);
		assert_int_equal(pump.count, 0);
		close(ends[1]);
	}
}

/* Which is how the resolver knows who has nothing to do */
static void what_has_failed_is_not_counted(void **state)
{
	struct pump_note note;
	int ends[2], pass;

	(void)state;
	events_left = 2;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	job(true, ends[0]);
	assert_int_equal(pump.count, 1);
	close(ends[1]);
	assert_true(world_until(pump.base, is_noted, NULL));
	note = hear(&pass);
	assert_int_equal(note.what, PUMP_FAILED);
	assert_int_equal(note.connections, 0);
}

static void what_was_given_to_the_kernel_is_not_counted(void **state)
{
	struct pump_note note;
	unsigned int i, sum = 0;
	int ends[2], pass;

	(void)state;
	kernel = true;
	events_left = 4;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	job(true, ends[0]);
	job(false, ends[1]);
	for (i = 0; i < 2; i++) {
		assert_true(world_until(pump.base, is_noted, NULL));
		note = hear(&pass);
		assert_int_equal(note.what, PUMP_READY);
		assert_int_equal(note.cover, ENCRYPT_KERNEL);
		assert_true(pass >= 0);
		close(pass);
		sum += note.connections;
	}
	assert_int_equal(sum, 1);	/* the other one's, and none */
	assert_int_equal(pump.count, 0);
	kernel = false;
}

/* Two that are through their handshake, with each other */
static void make_two(struct pumped *two[2])
{
	int ends[2], pass;

	events_left = 6;
	assert_int_equal(pair_make(AF_INET, ends), 0);
	job(true, ends[0]);
	job(false, ends[1]);
	two[0] = TAILQ_FIRST(&pump.connections);
	two[1] = TAILQ_NEXT(two[0], link);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(world_until(pump.base, is_noted, NULL));
		assert_int_equal(hear(&pass).what, PUMP_READY);
	}
}

static void hear_the_ends(void)
{
	int pass;

	assert_int_equal(hear(&pass).what, PUMP_ENDED);
	assert_int_equal(hear(&pass).what, PUMP_ENDED);
}

static bool is_empty(void *arg)
{
	(void)arg;
	return pump.count == 0;
}

/* A far program may have its end already */
static void what_comes_to_nothing_is_no_end_of_the_data(void **state)
{
	struct pumped *two[2];

	(void)state;
	make_two(two);
	pumped_free(two[0]);
	assert_int_equal(outqueue_error(two[1]->flow.wire), -ECONNRESET);
	pumped_free(two[1]);
	hear_the_ends();
}

static void fill(int fd)
{
	static const char data[65536];

	for (int still = 0; still < 20; still++) {
		while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
			still = 0;
		world_turn(pump.base, 10);
	}
}

/* The far end takes nothing: what a program has reset, or has closed and the kernel forgotten, is not kept for ever */
static void who_does_not_read_keeps_nothing(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct pumped *two[2], *c, *next;
	struct timeval then, later;
	int near[2], far[2];

	(void)state;
	make_two(two);
	assert_int_equal(pair_make(AF_INET, near), 0);
	assert_int_equal(pair_make(AF_INET, far), 0);
	into_flow(two[0], near[0]);
	into_flow(two[1], far[0]);
	fill(near[1]);
	assert_non_null(two[0]->flow.out.left.data);
	assert_true(evtimer_pending(two[0]->timer, NULL));
	assert_int_equal(setsockopt(near[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(near[1]);
	on_flow(-1, EV_TIMEOUT, two[0]);
	assert_int_equal(two[0]->flow.lost, near[0]);
	assert_true(evtimer_pending(two[0]->timer, &then));
	world_turn(pump.base, 1);
	on_flow(-1, EV_READ, two[0]);		/* a far end that says something all the time postpones nothing */
	assert_true(evtimer_pending(two[0]->timer, &later));
	assert_true(evutil_timercmp(&then, &later, ==));
	for (unsigned int i = 0; i < 3 * OUTQUEUE_PATIENCE && pump.count; i++) {
		for (c = TAILQ_FIRST(&pump.connections); c; c = next) {
			next = TAILQ_NEXT(c, link);
			on_flow(-1, EV_TIMEOUT, c);
		}
	}
	assert_int_equal(pump.count, 0);
	assert_int_equal(outqueue_error(far[1]), -ECONNRESET);
	close(far[1]);
	hear_the_ends();
}

/* What has come before the reset is handed on, and the reset comes behind all of it */
static void a_reset_overtakes_nothing(void **state)
{
	const struct linger reset = { .l_onoff = 1 };
	struct pumped *two[2];
	int near[2], far[2];
	char got[8] = "";

	(void)state;
	make_two(two);
	assert_int_equal(pair_make(AF_INET, near), 0);
	assert_int_equal(pair_make(AF_INET, far), 0);
	into_flow(two[0], near[0]);
	into_flow(two[1], far[0]);
	fill(near[1]);
	assert_int_equal(send(far[1], "413", 3, 0), 3);
	assert_int_equal(setsockopt(far[1], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
	close(far[1]);
	assert_true(world_until(pump.base, is_empty, NULL));
	assert_int_equal(recv(near[1], got, sizeof(got), 0), 3);
	assert_string_equal(got, "413");
	assert_int_equal(recv(near[1], got, sizeof(got), 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(near[1]);
	hear_the_ends();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_a_job_fails),
		cmocka_unit_test(what_has_failed_is_not_counted),
		cmocka_unit_test(what_was_given_to_the_kernel_is_not_counted),
		cmocka_unit_test(what_comes_to_nothing_is_no_end_of_the_data),
		cmocka_unit_test(who_does_not_read_keeps_nothing),
		cmocka_unit_test(a_reset_overtakes_nothing),
	};

	return cmocka_run_group_tests_name("pump", tests, begin, end);
}
