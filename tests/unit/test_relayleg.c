/* SPDX-License-Identifier: MIT */
/*
 * test_relayleg.c - resolver/relayleg.c against the real punch-relay, and against what is no relay
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/convert.h"
#include "common/frame.h"
#include "common/secret.h"
#include "common/ticket.h"
#include "resolver/dns.h"
#include "resolver/relayleg.h"
#include "tests/unit/world.h"

#define PORT		4433
#define PORT_STOPPED	4434

static struct node node;
/* The rendezvous whose offers they are: as the relays, on this host */
static struct endpoint server = { .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = 4430 };
static uint8_t secret[RELAY_SECRET_SIZE];
static pid_t relay, stopped;

struct outcome {
	bool inside;
	unsigned int calls;
	int fd;
	int error;
	char text[512];
};

static void on_done(void *arg, int fd, int error, const char *text)
{
	struct outcome *o = arg;

	assert_false(o->inside);
	o->calls++;
	o->fd = fd;
	o->error = error;
	snprintf(o->text, sizeof(o->text), "%s", text);
}

static bool is_over(void *arg)
{
	return ((struct outcome *)arg)->calls > 0;
}

/* A ticket of session number @n */
static struct ticket ticket_of(uint8_t n, enum ticket_side side)
{
	struct ticket ticket = {
		.session = { n }, .side = side, .caller_key = { 1 }, .callee_key = { 2 },
		.expires_s = (uint64_t)time(NULL) + TICKET_LIFETIME_S,
	};

	secret_random(ticket.nonce, sizeof(ticket.nonce));
	return ticket;
}

static struct relayleg *begin_at(struct outcome *o, const char *address, uint16_t port, int family,
				 const struct ticket *ticket, const uint8_t *key)
{
	uint8_t sealed[TICKET_MAX];
	struct relayleg *leg;
	int size = ticket_seal(ticket, key, sealed);

	assert_true(size > 0);
	*o = (struct outcome){ .fd = -1, .inside = true };
	leg = relayleg_new(&node, &server, address, port, family, sealed, (size_t)size, on_done, o);
	assert_non_null(leg);
	o->inside = false;
	return leg;
}

static struct relayleg *begin(struct outcome *o, uint8_t n, enum ticket_side side)
{
	struct ticket ticket = ticket_of(n, side);

	return begin_at(o, "127.0.0.1", PORT, AF_INET, &ticket, secret);
}

static void assert_ends(struct outcome *o, int error, const char *text)
{
	assert_true(world_until(node.base, is_over, o));
	assert_int_equal(o->calls, 1);
	assert_int_equal(o->error, error);
	if (error) {
		assert_int_equal(o->fd, -1);
		assert_non_null(strstr(o->text, text));
	} else {
		assert_true(o->fd >= 0);
	}
}

static void blocking(int fd)
{
	struct timeval limit = { .tv_sec = 5 };

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

/* --- the real relay */

static void both_sides_get_a_raw_pipe(void **state)
{
	struct outcome a, b;
	char text[8] = "";

	(void)state;
	begin(&a, 1, TICKET_CALLER);
	begin(&b, 1, TICKET_CALLEE);
	assert_ends(&a, 0, NULL);
	assert_ends(&b, 0, NULL);
	blocking(b.fd);
	assert_int_equal(send(a.fd, "bytes", 5, 0), 5);
	assert_int_equal(recv(b.fd, text, 5, MSG_WAITALL), 5);
	assert_string_equal(text, "bytes");
	close(a.fd);
	close(b.fd);
}

static void socket_is_as_documented(void **state)
{
	struct outcome a, b;
	struct endpoint local;
	int nodelay = 1;
	socklen_t size = sizeof(nodelay);

	(void)state;
	begin(&a, 2, TICKET_CALLER);
	begin(&b, 2, TICKET_CALLEE);
	assert_ends(&a, 0, NULL);
	assert_ends(&b, 0, NULL);
	assert_true(fcntl(a.fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(a.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(a.fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
	assert_int_equal(nodelay, 0);
	assert_int_equal(endpoint_local(a.fd, &local), 0);
	close(a.fd);
	close(b.fd);
}

static int family_of(int fd)
{
	int family = 0;
	socklen_t size = sizeof(family);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
	return family;
}

static void family_and_name_are_honoured(void **state)
{
	struct ticket t4 = ticket_of(3, TICKET_CALLER), t6 = ticket_of(3, TICKET_CALLEE);
	struct outcome a, b;

	(void)state;
	begin_at(&a, "relay.test", PORT, AF_INET, &t4, secret);		/* has an IPv6 address as well */
	begin_at(&b, "relay.test", PORT, AF_INET6, &t6, secret);
	assert_ends(&a, 0, NULL);
	assert_ends(&b, 0, NULL);
	assert_int_equal(family_of(a.fd), AF_INET);
	assert_int_equal(family_of(b.fd), AF_INET6);
	close(a.fd);
	close(b.fd);
	t4 = ticket_of(4, TICKET_CALLER);
	begin_at(&a, "::1", PORT, AF_INET, &t4, secret);
	assert_ends(&a, -EAFNOSUPPORT, "relay [::1]:4433");
	/* IPv4 relay for an IPv6 program: v4-mapped; nobody comes, but it gets there */
	t4 = ticket_of(5, TICKET_CALLER);
	t6 = ticket_of(5, TICKET_CALLEE);
	begin_at(&a, "127.0.0.1", PORT, AF_INET6, &t4, secret);
	begin_at(&b, "127.0.0.1", PORT, AF_INET, &t6, secret);
	assert_ends(&a, 0, NULL);
	assert_int_equal(family_of(a.fd), AF_INET6);
	assert_ends(&b, 0, NULL);
	close(a.fd);
	close(b.fd);
}

/* The partner's first bytes come in one segment with the reply: they are the program's */
static void not_a_byte_of_the_pipe_is_read(void **state)
{
	struct ticket ticket = ticket_of(6, TICKET_CALLER);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	Punch__RelayHello hello;
	uint8_t sealed[TICKET_MAX], *frame;
	char text[16] = "";
	struct outcome b;
	ssize_t size;
	int raw = socket(AF_INET, SOCK_STREAM, 0), sealed_size = ticket_seal(&ticket, secret, sealed);

	(void)state;
	punch__relay_hello__init(&hello);
	hello.ticket = (ProtobufCBinaryData){ .data = sealed, .len = (size_t)sealed_size };
	size = frame_pack(&hello.base, &frame);
	assert_int_equal(connect(raw, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(send(raw, frame, (size_t)size, MSG_MORE), size);
	assert_int_equal(send(raw, "early bytes", 11, 0), 11);
	free(frame);
	begin(&b, 6, TICKET_CALLEE);
	assert_ends(&b, 0, NULL);
	blocking(b.fd);
	assert_int_equal(recv(b.fd, text, 11, MSG_WAITALL), 11);
	assert_string_equal(text, "early bytes");
	close(raw);
	close(b.fd);
}

static void refusals_say_what_to_do(void **state)
{
	static const uint8_t wrong[RELAY_SECRET_SIZE] = { 1 };
	struct ticket ticket = ticket_of(7, TICKET_CALLER);
	struct outcome a, b;

	(void)state;
	begin_at(&a, "127.0.0.1", PORT, AF_INET, &ticket, wrong);
	assert_ends(&a, -EACCES, "relay-secret");
	ticket.expires_s = (uint64_t)time(NULL) - 10;
	begin_at(&a, "127.0.0.1", PORT, AF_INET, &ticket, secret);
	assert_ends(&a, -ETIME, "clocks");
	ticket = ticket_of(8, TICKET_CALLER);
	begin_at(&a, "127.0.0.1", PORT, AF_INET, &ticket, secret);
	begin(&b, 8, TICKET_CALLEE);
	assert_ends(&a, 0, NULL);
	assert_ends(&b, 0, NULL);
	close(a.fd);
	close(b.fd);
	begin_at(&a, "127.0.0.1", PORT, AF_INET, &ticket, secret);
	assert_ends(&a, -EALREADY, "used before");
}

static void unreachable_relay_names_its_address(void **state)
{
	struct ticket ticket = ticket_of(9, TICKET_CALLER);
	struct outcome a;

	(void)state;
	begin_at(&a, "127.0.0.1", 1, AF_INET, &ticket, secret);
	assert_ends(&a, -ECONNREFUSED, "127.0.0.1:1");
	begin_at(&a, "nobody.test", PORT, AF_INET, &ticket, secret);
	assert_true(world_until(node.base, is_over, &a));
	assert_int_equal(a.fd, -1);
	assert_non_null(strstr(a.text, "nobody.test"));
	begin_at(&a, "bad:name", PORT, AF_INET, &ticket, secret);
	assert_ends(&a, -EINVAL, "bad:name");
}

/* --- what is no relay */

struct stranger {
	int listener, fd;
	uint16_t port;
};

static struct stranger stranger_new(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct stranger s = { .listener = socket(AF_INET, SOCK_STREAM, 0), .fd = -1 };
	struct endpoint ep;

	assert_int_equal(bind(s.listener, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(s.listener, 4), 0);
	assert_int_equal(endpoint_local(s.listener, &ep), 0);
	s.port = ep.port;
	return s;
}

static bool stranger_met(void *arg)
{
	struct stranger *s = arg;
	struct pollfd pollfd = { .fd = s->listener, .events = POLLIN };

	if (s->fd < 0 && poll(&pollfd, 1, 0) == 1)
		s->fd = accept(s->listener, NULL, NULL);
	return s->fd >= 0;
}

static void stranger_free(struct stranger *s)
{
	close(s->listener);
	if (s->fd >= 0)
		close(s->fd);
}

static void strangers_are_told_from_relays(void **state)
{
	static const struct {
		const char *says;
		size_t size;
		int error;
		const char *text;
	} cases[] = {
		{ "SSH-2.0-OpenSSH_9.2p1\r\n", 23, -EPROTO, "is it a punch-relay?" },
		{ "\0\0\0\0", 4, -EPROTO, "is it a punch-relay?" },
		{ "\0\0\1\0", 4, -EPROTO, "is it a punch-relay?" },		/* more than any reply has */
		{ "\0\0\0\3\377\377\377", 7, -EPROTO, "is it a punch-relay?" },	/* no protobuf */
		{ "\0\0\0\2\10\143", 6, -EPROTO, "does not know" },		/* status 99 */
		{ "\0\0", 2, -ECONNRESET, "closed the connection" },
		{ "", 0, -ECONNRESET, "closed the connection" },
	};
	struct ticket ticket = ticket_of(10, TICKET_CALLER);
	struct stranger s = stranger_new();
	struct outcome a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		begin_at(&a, "127.0.0.1", s.port, AF_INET, &ticket, secret);
		assert_true(world_until(node.base, stranger_met, &s));
		assert_int_equal(send(s.fd, cases[i].says, cases[i].size, 0), (ssize_t)cases[i].size);
		shutdown(s.fd, SHUT_WR);
		assert_ends(&a, cases[i].error, cases[i].text);
		close(s.fd);
		s.fd = -1;
	}
	stranger_free(&s);
}

static void reply_may_come_byte_by_byte(void **state)
{
	static const char reply[] = "\0\0\0\2\10\1program";
	struct ticket ticket = ticket_of(11, TICKET_CALLER);
	struct stranger s = stranger_new();
	char text[16] = "";
	struct outcome a;
	int i, on = 1;

	(void)state;
	begin_at(&a, "127.0.0.1", s.port, AF_INET, &ticket, secret);
	assert_true(world_until(node.base, stranger_met, &s));
	setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (i = 0; i < 13; i++) {
		assert_int_equal(send(s.fd, reply + i, 1, 0), 1);
		if (i < 5)
			world_turn(node.base, 10);
	}
	assert_ends(&a, 0, NULL);
	blocking(a.fd);
	assert_int_equal(recv(a.fd, text, 7, MSG_WAITALL), 7);
	assert_string_equal(text, "program");
	close(a.fd);
	stranger_free(&s);
}

static bool stranger_left(void *arg)
{
	struct stranger *s = arg;
	char byte[600];
	ssize_t n = recv(s->fd, byte, sizeof(byte), MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void cancelled_leg_closes_and_never_calls_back(void **state)
{
	struct ticket ticket = ticket_of(12, TICKET_CALLER);
	struct stranger s = stranger_new();
	struct relayleg *leg;
	struct outcome a;

	(void)state;
	relayleg_cancel(begin_at(&a, "127.0.0.1", s.port, AF_INET, &ticket, secret));
	leg = begin_at(&a, "127.0.0.1", s.port, AF_INET, &ticket, secret);
	assert_true(world_until(node.base, stranger_met, &s));
	relayleg_cancel(leg);
	assert_true(world_until(node.base, stranger_left, &s));
	assert_int_equal(a.calls, 0);
	stranger_free(&s);
}

static void ticket_of_impossible_size_is_refused(void **state)
{
	static const uint8_t ticket[TICKET_MAX + 1];

	(void)state;
	assert_null(relayleg_new(&node, &server, "127.0.0.1", PORT, AF_INET, ticket, sizeof(ticket), on_done, NULL));
}

/* Bytes of a server's choice must not reach what listens on this host or in its networks alone */
static void a_public_server_cannot_send_us_home(void **state)
{
	static const char *const places[] = { "127.0.0.1", "::1", "relay.test", "192.168.77.1", "fe80::1" };
	const struct endpoint here = server;
	struct ticket ticket = ticket_of(77, TICKET_CALLER);
	struct outcome o;
	unsigned int i;

	(void)state;
	assert_int_equal(endpoint_parse(&server, "203.0.113.10", 4430), 0);
	for (i = 0; i < COUNT(places); i++) {
		begin_at(&o, places[i], PORT, AF_INET6, &ticket, secret);
		assert_true(world_until(node.base, is_over, &o));
		assert_int_equal(o.error, -EACCES);
		assert_non_null(strstr(o.text, "refused: it is on this host or in a private network"));
	}
	server = here;
}

/* --- silence: both waits at once, they take 20 and 25 s */

static bool both_over(void *arg)
{
	struct outcome *o = arg;

	return is_over(&o[0]) && is_over(&o[1]);
}

static void silence_ends(void **state)
{
	struct ticket ticket = ticket_of(13, TICKET_CALLER);
	uint64_t begun = clock_now();
	struct outcome o[2];

	(void)state;
	kill(stopped, SIGSTOP);
	begin(&o[0], 13, TICKET_CALLER);
	begin_at(&o[1], "127.0.0.1", PORT_STOPPED, AF_INET, &ticket, secret);
	world_until(node.base, both_over, o);		/* 15 s: not yet */
	assert_int_equal(o[0].calls + o[1].calls, 0);
	assert_true(world_until(node.base, both_over, o));
	kill(stopped, SIGCONT);
	assert_int_equal(o[0].error, -EHOSTUNREACH);
	assert_non_null(strstr(o[0].text, "other side"));
	assert_int_equal(o[1].error, -ETIMEDOUT);
	assert_true(clock_now() - begun < 27 * SECOND);
}

/* --- */

static bool relays_up(void *arg)
{
	(void)arg;
	return world_listens(PORT) && world_listens(PORT_STOPPED);
}

static int setup(void **state)
{
	static const char hosts[] = "127.0.0.1 localhost\n127.0.0.1 relay.test\n::1 relay.test\n";
	char why[512], key[SCRATCH_PATH];

	if (scratch_setup(state) || world_isolate()) {
		perror("a network of our own");
		return -1;
	}
	mkdir(scratch_path("etc"), 0755);
	scratch_write("etc/hosts", hosts, strlen(hosts), 0644);
	scratch_write("etc/resolv.conf", "nameserver 127.0.0.9\n", 21, 0644);
	strcpy(key, scratch_path("relay.secret"));
	if (world_etc(scratch_path("etc")) || ticket_secret_load(secret, key, 1, why, sizeof(why)))
		return -1;
	relay = world_start(scratch_path("log"), "punch-relay", "--secret", key,
			    "--listen", "127.0.0.1:4433", "--listen", "[::1]:4433", NULL);
	stopped = world_start(scratch_path("log"), "punch-relay", "--secret", key,
			      "--listen", "127.0.0.1:4434", NULL);
	node.base = event_base_new();
	node.dns = dns_new(node.base);
	return world_until(NULL, relays_up, NULL) ? 0 : -1;
}

static int teardown(void **state)
{
	dns_free(node.dns);
	event_base_free(node.base);
	world_stop(relay);
	world_stop(stopped);
	return scratch_teardown(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_get_a_raw_pipe),
		cmocka_unit_test(socket_is_as_documented),
		cmocka_unit_test(family_and_name_are_honoured),
		cmocka_unit_test(not_a_byte_of_the_pipe_is_read),
		cmocka_unit_test(refusals_say_what_to_do),
		cmocka_unit_test(unreachable_relay_names_its_address),
		cmocka_unit_test(strangers_are_told_from_relays),
		cmocka_unit_test(reply_may_come_byte_by_byte),
		cmocka_unit_test(cancelled_leg_closes_and_never_calls_back),
		cmocka_unit_test(ticket_of_impossible_size_is_refused),
		cmocka_unit_test(a_public_server_cannot_send_us_home),
		cmocka_unit_test(silence_ends),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
