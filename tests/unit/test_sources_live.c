/* SPDX-License-Identifier: MIT */
/*
 * test_sources_live.c - the real servers, and one address that wants more connections than it may have, or faster
 *
 * Another address is served meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/stun.h"
#include "relay/limits.h"
#include "rendezvous/limits.h"
#include "tests/unit/rdv_client.h"
#include "tests/unit/relay_client.h"

#define GREEDY	"127.7.1.1"
#define OTHER	"127.7.2.1"
#define JOINED	PUNCH__RELAY_STATUS__RELAY_JOINED

static struct rdv rdv;
static struct relay relay;	/* with room for few pairs, and so for few sides of one address */
static char folder[64];
static rlim_t descriptors;	/* that we may have, and so the servers */
static uint8_t request[STUN_MAX];
static size_t request_size;

static int setup(void **state)
{
	static const uint8_t id[STUN_ID] = { 7 };
	char dash_c[] = "-c", path[128];
	struct rlimit limit;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(170);
	getrlimit(RLIMIT_NOFILE, &limit);
	descriptors = limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	request_size = stun_request(request, id);
	live_folder(folder);
	live_write(folder, "small.conf", "[relay]\npairs = 8\n");
	snprintf(path, sizeof(path), "%s/small.conf", folder);
	relay_start_with(&relay, 0, dash_c, path);
	rdv_start(&rdv, "", 0);
	return 0;
}

static int teardown(void **state)
{
	int status = rdv_stop(&rdv);

	(void)state;
	live_folder_remove(rdv.folder);
	live_folder_remove(folder);
	return relay_stop(&relay) || status;
}

/* By RST: its port is free at once */
static void hang_up(int fd)
{
	const struct linger rst = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
	close(fd);
}

/* Return: false when nothing but the end came back */
static bool answers(int fd, const void *bytes, size_t size)
{
	char answer[64];

	send(fd, bytes, size, MSG_NOSIGNAL);
	return recv(fd, answer, sizeof(answer), 0) > 0;
}

struct expected {
	long long (*read)(void);
	long long value;
};

static bool is_reached(void *arg)
{
	const struct expected *expected = arg;

	return expected->read() == expected->value;
}

static bool becomes(long long (*read)(void), long long value)
{
	struct expected expected = { .read = read, .value = value };

	return live_until(is_reached, &expected);
}

/**
 * struct haste - one address that connects again and again
 * @batch:	connections that say nothing before each one that says @bytes, and waits for what comes of it
 */
struct haste {
	uint16_t port;
	unsigned int batch;
	const void *bytes;
	size_t size;
	struct rate rate;
	long long (*refused)(void);
};

/* Return: was one refused before more came than the rate allows? A machine that is too slow for that is no danger */
static bool is_slowed_down(const struct haste *haste)
{
	const uint64_t began = clock_now();
	const long long before = haste->refused();
	uint64_t tries = 0, spent = 0;
	int fd;

	while (spent < 10 * SECOND && tries <= haste->rate.burst + haste->rate.per_second * spent / SECOND) {
		for (unsigned int i = 0; i < haste->batch; i++)
			hang_up(live_connect_from(GREEDY, "127.0.0.1", haste->port));
		fd = live_connect_from(GREEDY, "127.0.0.1", haste->port);
		answers(fd, haste->bytes, haste->size);		/* so those before it have been seen to, too */
		hang_up(fd);
		tries += haste->batch + 1;
		if (tries % 64 < haste->batch + 1 && haste->refused() > before)
			break;
		spent = clock_now() - began;
	}
	printf("%llu connections in %llu ms\n", (unsigned long long)tries, (unsigned long long)spent / MS);
	return spent >= 10 * SECOND || haste->refused() > before;
}

/* ---------------------------------------------------------------- relay */

static long long relay_waiting(void)
{
	return live_metric(relay.metrics, "punch_relay_waiting");
}

static long long relay_refused(void)
{
	return live_metric(relay.metrics, "punch_relay_refused_total{reason=\"source\"}");
}

static int side(const char *from, uint8_t session, enum ticket_side side)
{
	struct ticket ticket = relay_ticket(session, side);

	return relay_hello_from(from, &relay, &ticket);
}

static void test_sides_of_one_address_at_a_relay(void **state)
{
	int fds[RELAY_PER_SOURCE_LEAST], other[2], above;
	uint8_t i;

	(void)state;
	for (i = 0; i < RELAY_PER_SOURCE_LEAST; i++)
		fds[i] = side(GREEDY, i, TICKET_CALLER);
	assert_true(becomes(relay_waiting, RELAY_PER_SOURCE_LEAST));
	assert_int_equal(relay_refused(), 0);
	above = side(GREEDY, i, TICKET_CALLER);
	assert_int_equal(relay_status(above), -1);
	close(above);
	assert_int_equal(relay_refused(), 1);
	other[0] = side(OTHER, 100, TICKET_CALLER);
	other[1] = side(OTHER, 100, TICKET_CALLEE);
	assert_true(relay_status(other[0]) == JOINED && relay_status(other[1]) == JOINED);
	/* one goes, another one comes and is joined: joined ones count */
	close(fds[0]);
	assert_true(becomes(relay_waiting, RELAY_PER_SOURCE_LEAST - 1));
	fds[0] = side(GREEDY, 1, TICKET_CALLEE);
	assert_true(relay_status(fds[0]) == JOINED && relay_status(fds[1]) == JOINED);
	above = side(GREEDY, i, TICKET_CALLER);
	assert_int_equal(relay_status(above), -1);
	close(above);
	assert_int_equal(relay_refused(), 2);
	close(other[0]);
	close(other[1]);
	for (i = 0; i < RELAY_PER_SOURCE_LEAST; i++)
		close(fds[i]);
	assert_true(becomes(relay_waiting, 0));
}

static void test_haste_of_one_address_at_a_relay(void **state)
{
	const struct haste haste = {
		.port = relay.port, .batch = 63, .bytes = "\xff\xff\xff\xff", .size = 4, .rate = RELAY_HELLO_RATE,
		.refused = relay_refused,
	};
	int other[2];

	(void)state;
	assert_true(is_slowed_down(&haste));
	other[0] = side(OTHER, 101, TICKET_CALLER);
	other[1] = side(OTHER, 101, TICKET_CALLEE);
	assert_true(relay_status(other[0]) == JOINED && relay_status(other[1]) == JOINED);
	close(other[0]);
	close(other[1]);
}

/* ---------------------------------------------------------------- rendezvous */

static long long rdv_refused(void)
{
	return rdv_metric(&rdv, "closed_total{reason=\"limit\"}");
}

static void test_haste_of_one_address(void **state)
{
	const struct haste haste = {
		.port = rdv.port, .bytes = "no TLS at all\r\n", .size = 15, .rate = RDV_CONNECT_RATE, .refused = rdv_refused,
	};
	struct node node = { .fd = -1, .from = OTHER };

	(void)state;
	assert_true(is_slowed_down(&haste));
	assert_true(rdv_online(&rdv, &node, false));
	node_free(&node);
}

/* ---------------------------------------------------------------- probes */

static int probe_fds[RDV_PROBES_PER_SOURCE];

static long long probes(void)
{
	return rdv_metric(&rdv, "probes");
}

static long long probes_limited(void)
{
	return rdv_metric(&rdv, "probes_limited_total");
}

static bool is_probed(const char *from)
{
	int fd = live_connect_from(from, "127.0.0.1", rdv.probes[0]);
	bool answered = answers(fd, request, request_size);

	hang_up(fd);
	return answered;
}

static void test_probes_of_one_address(void **state)
{
	int above;

	(void)state;
	if (descriptors < RDV_PROBES_PER_SOURCE * RDV_PROBES_FIT)	/* fewer places: others make room then */
		skip();
	for (unsigned int i = 0; i < RDV_PROBES_PER_SOURCE; i++) {
		probe_fds[i] = live_connect_from(GREEDY, "127.0.0.1", rdv.probes[0]);
		assert_true(answers(probe_fds[i], request, request_size));
		if (i % 1024 == 0)
			poll(NULL, 0, 50);	/* not too fast */
	}
	poll(NULL, 0, 50);
	assert_int_equal(probes_limited(), 0);
	above = live_connect_from(GREEDY, "127.0.0.1", rdv.probes[0]);
	assert_true(becomes(probes_limited, 1));	/* before it has asked for anything */
	close(above);
	assert_true(is_probed(OTHER));
	hang_up(probe_fds[0]);
	assert_true(becomes(probes, RDV_PROBES_PER_SOURCE - 1));
	assert_true(is_probed(GREEDY));
	for (unsigned int i = 1; i < RDV_PROBES_PER_SOURCE; i++)
		hang_up(probe_fds[i]);
	assert_true(becomes(probes, 0));
}

static void test_haste_of_one_address_at_a_probe(void **state)
{
	const struct haste haste = {
		.port = rdv.probes[0], .bytes = request, .size = request_size, .rate = RDV_PROBE_RATE,
		.refused = probes_limited,
	};

	(void)state;
	assert_true(is_slowed_down(&haste));
	assert_true(is_probed(OTHER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sides_of_one_address_at_a_relay),
		cmocka_unit_test(test_haste_of_one_address_at_a_relay),
		cmocka_unit_test(test_haste_of_one_address),
		cmocka_unit_test(test_probes_of_one_address),
		cmocka_unit_test(test_haste_of_one_address_at_a_probe),
	};

	return cmocka_run_group_tests_name("sources_live", tests, setup, teardown);
}
