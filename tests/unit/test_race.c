/* SPDX-License-Identifier: MIT */
/*
 * test_race.c - resolver/race.c: several addresses, one connection (RFC 8305)
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "resolver/race.h"
#include "tests/unit/world.h"

#define COARSE	(10 * MS)	/* libevent reads CLOCK_MONOTONIC_COARSE: a tick early is on time */

static struct event_base *base;

struct outcome {
	bool inside;
	unsigned int calls;
	int fd, error;
	struct endpoint reached;
	char text[512];
	uint64_t begun, took;
};

static void on_done(void *arg, int fd, const struct endpoint *reached, int error, const char *text)
{
	struct outcome *o = arg;

	assert_false(o->inside);
	o->calls++;
	o->fd = fd;
	o->error = error;
	o->took = clock_now() - o->begun;
	snprintf(o->text, sizeof(o->text), "%s", text);
	if (reached)
		o->reached = *reached;
}

static bool is_over(void *arg)
{
	return ((struct outcome *)arg)->calls > 0;
}

static struct race *begin(struct outcome *o, const struct endpoint *targets, unsigned int count, int family,
			  uint64_t limit)
{
	struct race *race;

	*o = (struct outcome){ .fd = -1, .begun = clock_now(), .inside = true };
	race = race_new(base, targets, count, family, limit, on_done, o);
	assert_non_null(race);
	o->inside = false;
	return race;
}

static void run(struct outcome *o, const struct endpoint *targets, unsigned int count)
{
	begin(o, targets, count, 0, 5 * SECOND);
	assert_true(world_until(base, is_over, o));
	assert_int_equal(o->calls, 1);
}

static struct endpoint target(const char *text)
{
	struct endpoint ep;

	assert_int_equal(endpoint_parse(&ep, text, 0), 0);
	return ep;
}

/* A listener at an address of loopback. Return: its descriptor; @ep its address */
static int listener(const char *address, int backlog, struct endpoint *ep)
{
	struct sockaddr_storage ss;
	struct endpoint any = target(address);
	int size = endpoint_to_sockaddr(&any, any.family, &ss), fd = socket(any.family, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&ss, (socklen_t)size), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(endpoint_local(fd, ep), 0);
	return fd;
}

/* One that answers no SYN: its queue is full. @filler keeps it so */
static int silent(const char *address, struct endpoint *ep, int filler[2])
{
	int fd = listener(address, 0, ep), i;
	struct sockaddr_storage ss;
	int size = endpoint_to_sockaddr(ep, ep->family, &ss);

	for (i = 0; i < 2; i++) {
		filler[i] = socket(ep->family, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(filler[i], (struct sockaddr *)&ss, (socklen_t)size);
	}
	return fd;
}

static void close_all(const int *fds, unsigned int count)
{
	while (count--)
		close(fds[count]);
}

static void first_address_wins_when_it_answers(void **state)
{
	struct endpoint to[2];
	int a = listener("127.0.0.1", 4, &to[0]), b = listener("::1", 4, &to[1]);
	struct outcome o;

	(void)state;
	run(&o, to, 2);
	assert_int_equal(o.error, 0);
	assert_true(endpoint_equal(&o.reached, &to[0]));
	assert_true(fcntl(o.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(o.fd, F_GETFD) & FD_CLOEXEC);
	close(o.fd);
	/* the second never saw a SYN */
	fcntl(b, F_SETFL, O_NONBLOCK);
	assert_int_equal(accept(b, NULL, NULL), -1);
	close(a);
	close(b);
}

static void silent_address_costs_a_quarter_second(void **state)
{
	struct endpoint to[2];
	int filler[2], a = silent("127.0.0.1", &to[0], filler), b = listener("127.0.0.2", 4, &to[1]);
	struct outcome o;

	(void)state;
	run(&o, to, 2);
	assert_int_equal(o.error, 0);
	assert_true(endpoint_equal(&o.reached, &to[1]));
	assert_true(o.took >= 250 * MS - COARSE && o.took < 900 * MS);
	close_all((int[]){ o.fd, filler[0], filler[1], a, b }, 5);
}

static void refusing_address_costs_nothing(void **state)
{
	struct endpoint to[2] = { target("127.0.0.1:1") };
	int b = listener("127.0.0.2", 4, &to[1]);
	struct outcome o;

	(void)state;
	run(&o, to, 2);
	assert_int_equal(o.error, 0);
	assert_true(o.took < 200 * MS);
	close(o.fd);
	close(b);
}

static void failure_lists_each_address_with_its_error(void **state)
{
	struct endpoint to[3] = { target("127.0.0.1:1"), target("[::1]:2"), target("192.0.2.1:3") };
	struct outcome o;

	(void)state;
	run(&o, to, 3);
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.error, -ENETUNREACH);	/* only loopback here */
	assert_non_null(strstr(o.text, "127.0.0.1:1: Connection refused"));
	assert_non_null(strstr(o.text, "[::1]:2: Connection refused"));
	assert_non_null(strstr(o.text, "192.0.2.1:3: Network is unreachable"));
}

static void impossible_addresses_are_left_out(void **state)
{
	struct endpoint to[4] = { target("239.192.0.1:80"), target("0.0.0.0:80"), target("127.0.0.1"), target("[ff02::1]:80") };
	struct outcome o;

	(void)state;
	run(&o, to, 4);
	assert_int_equal(o.error, -EAFNOSUPPORT);
	run(&o, to, 0);
	assert_int_equal(o.error, -EAFNOSUPPORT);
}

static void family_chooses_the_socket(void **state)
{
	struct endpoint to[2];
	int a = listener("::1", 4, &to[0]), b = listener("127.0.0.1", 4, &to[1]), domain = 0;
	socklen_t size = sizeof(domain);
	struct outcome o;

	(void)state;
	begin(&o, to, 2, AF_INET, SECOND);
	assert_true(world_until(base, is_over, &o));
	assert_true(endpoint_equal(&o.reached, &to[1]));
	close(o.fd);
	begin(&o, &to[1], 1, AF_INET6, SECOND);		/* v4-mapped */
	assert_true(world_until(base, is_over, &o));
	assert_int_equal(o.error, 0);
	assert_int_equal(getsockopt(o.fd, SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
	assert_int_equal(domain, AF_INET6);
	close_all((int[]){ o.fd, a, b }, 3);
}

static void race_ends_at_its_limit(void **state)
{
	struct endpoint to;
	int filler[2], a = silent("127.0.0.1", &to, filler);
	struct outcome o;

	(void)state;
	begin(&o, &to, 1, 0, 300 * MS);
	assert_true(world_until(base, is_over, &o));
	assert_int_equal(o.error, -ETIMEDOUT);
	assert_non_null(strstr(o.text, "no answer"));
	assert_true(o.took >= 300 * MS - COARSE && o.took < 2 * SECOND);
	close_all((int[]){ filler[0], filler[1], a }, 3);
}

static void cancelled_race_never_calls_back(void **state)
{
	struct endpoint to;
	int a = listener("127.0.0.1", 4, &to);
	struct outcome o;

	(void)state;
	race_cancel(begin(&o, &to, 1, 0, SECOND));
	world_turn(base, 50);
	assert_int_equal(o.calls, 0);
	close(a);
}

/* The only port that the kernel may choose is the one we dial: TCP connects the socket to itself */
static void socket_that_meets_itself_reached_nobody(void **state)
{
	struct endpoint to = target("127.0.0.1:40000");
	char before[64];
	struct outcome o;
	int fd;

	(void)state;
	scratch_read("/proc/sys/net/ipv4/ip_local_port_range", before, sizeof(before));
	fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
	assert_int_equal(write(fd, "40000 40000", 11), 11);
	run(&o, &to, 1);
	assert_int_equal(write(fd, before, strlen(before)), (ssize_t)strlen(before));
	close(fd);
	assert_int_equal(o.fd, -1);
	assert_int_equal(o.error, -ECONNREFUSED);
}

static int setup(void **state)
{
	(void)state;
	if (world_isolate()) {
		perror("a network of our own");
		return -1;
	}
	base = event_base_new();
	return base ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	event_base_free(base);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_address_wins_when_it_answers),
		cmocka_unit_test(silent_address_costs_a_quarter_second),
		cmocka_unit_test(refusing_address_costs_nothing),
		cmocka_unit_test(failure_lists_each_address_with_its_error),
		cmocka_unit_test(impossible_addresses_are_left_out),
		cmocka_unit_test(family_chooses_the_socket),
		cmocka_unit_test(race_ends_at_its_limit),
		cmocka_unit_test(cancelled_race_never_calls_back),
		cmocka_unit_test(socket_that_meets_itself_reached_nobody),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
