/* SPDX-License-Identifier: MIT */
/*
 * test_flood_live.c - the real servers under floods of connections that show nothing, from many addresses of loopback
 *
 * While a flood stands, somebody new must be served, and the server's memory must stay below its number of
 * strangers times what one costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/frame.h"
#include "common/places.h"
#include "common/secret.h"
#include "common/stun.h"
#include "common/tls.h"
#include "relay/limits.h"
#include "rendezvous/limits.h"
#include "tests/unit/rdv_client.h"
#include "tests/unit/relay_client.h"

#define ADDRESSES	70	/* more than the 64 that fill a table */
#define RDV_STRANGER_KIB 50
#define MOST		(ADDRESSES * (RELAY_STRANGERS_SHARE + 2))

static struct rdv rdv;
static struct relay relay;
static int fds[MOST];
static unsigned int count;
static uint8_t hello[1024];	/* a ClientHello */
static size_t hello_size;
static pid_t dripping;
static bool can_flood;
static unsigned int descriptors;	/* that we may have, and so the servers */

/* One connection of the address number @address, with its first bytes sent */
static void open_one(unsigned int address, uint16_t port, const void *bytes, size_t size)
{
	char from[32];

	snprintf(from, sizeof(from), "127.7.%u.1", address);
	fds[count] = live_connect_from(from, "127.0.0.1", port);
	assert_true(fds[count] >= 0);
	if (size)
		send(fds[count], bytes, size, MSG_NOSIGNAL);
	count++;
}

static void flood(unsigned int addresses, unsigned int each, uint16_t port, const void *bytes, size_t size)
{
	for (unsigned int i = 0; i < each; i++)
		for (unsigned int address = 0; address < addresses; address++)
			open_one(address, port, bytes, size);
}

static void end_flood(void)
{
	const struct linger rst = { .l_onoff = 1 };

	while (count > 0) {
		setsockopt(fds[--count], SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		close(fds[count]);
	}
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

static long long rdv_strangers(void)
{
	return rdv_metric(&rdv, "strangers");
}

static long long probe_strangers(void)
{
	return rdv_metric(&rdv, "probe_strangers");
}

static long long relay_strangers(void)
{
	return live_metric(relay.metrics, "punch_relay_strangers");
}

static int asks(int fd)
{
	uint8_t id[STUN_ID] = { 7 }, request[STUN_MAX], answer[STUN_MAX];
	size_t size = stun_request(request, id);

	return send(fd, request, size, MSG_NOSIGNAL) == (ssize_t)size && recv(fd, answer, sizeof(answer), 0) > 0;
}

static bool is_probed(const struct rdv *server, const char *from)
{
	int fd = live_connect_from(from, "127.0.0.1", server->probes[0]);
	bool answered = asks(fd);

	close(fd);
	return answered;
}

static bool is_served(void)
{
	struct node node = { .fd = -1 };
	bool online = rdv_online(&rdv, &node, false);

	node_free(&node);
	return online;
}

static bool is_relayed(void)
{
	int a, b;

	if (!relay_pair(&relay, &a, &b))
		return false;
	close(a);
	close(b);
	return true;
}

/* The connections that the server has refused or ended */
static unsigned int closed(void)
{
	unsigned int ended = 0;
	char byte;

	for (unsigned int i = 0; i < count; i++)
		ended += recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
	return ended;
}

static unsigned int wanted;

static bool has_closed(void *arg)
{
	(void)arg;
	return closed() >= wanted;
}

/* More than its share from one address, before their time: the share stays; after it the oldest make room */
static void check_share(uint16_t port, unsigned int share, long long (*strangers)(void), const void *bytes,
			size_t size)
{
	const unsigned int above = 20;

	flood(1, share, port, bytes, size);
	assert_true(becomes(strangers, share));
	poll(NULL, 0, RDV_STRANGER_TIME / MS + 100);
	flood(1, above, port, bytes, size);
	wanted = above;
	assert_true(live_until(has_closed, NULL));
	assert_int_equal(closed(), above);
	assert_int_equal(strangers(), share);
	/* those that were first */
	for (unsigned int i = 0; i < above; i++) {
		char byte;

		assert_int_equal(recv(fds[i], &byte, 1, MSG_DONTWAIT), 0);
	}
	end_flood();
	assert_true(becomes(strangers, 0));
}

static void test_handshakes_of_one_address(void **state)
{
	(void)state;
	check_share(rdv.port, RDV_STRANGERS_SHARE, rdv_strangers, hello, 5);
}

static void test_probes_of_one_address(void **state)
{
	(void)state;
	check_share(rdv.probes[0], RDV_PROBE_STRANGERS_SHARE, probe_strangers, "\0", 1);
}

static void test_relay_sides_of_one_address(void **state)
{
	(void)state;
	check_share(relay.port, RELAY_STRANGERS_SHARE, relay_strangers, "\0", 1);
}

/* In one instant an address gets its share: who comes above it is refused, and those that are there stay */
static void test_share_is_refused_at_once(void **state)
{
	const unsigned int above = 30;

	(void)state;
	flood(1, RELAY_STRANGERS_SHARE + above, relay.port, NULL, 0);
	wanted = above;
	assert_true(live_until(has_closed, NULL));
	assert_in_range(relay_strangers(), 1, RELAY_STRANGERS_SHARE);
	assert_true(is_relayed());
	end_flood();
	assert_true(becomes(relay_strangers, 0));
}

/*
 * What a stranger may cost: its struct and, for TLS, the library's state and buffers (48 KiB measured, rendezvous/limits.h);
 * plus 4 MiB for what the kernel gives in larger pieces.  Hundreds of thousands of these connections would
 * not be below it.
 */
static void assert_memory(pid_t pid, unsigned int before, unsigned int strangers, unsigned int each_kib)
{
	unsigned int now = live_rss_kib(pid);

	printf("%u strangers: %u KiB, %u KiB before\n", strangers, now, before);
	assert_in_range(now, 0, before + strangers * each_kib + 4096);
}

/* The server has answered each with its certificate.  Fewer, as that takes 1 to 2 ms of CPU */
static void test_flood_of_half_done_handshakes(void **state)
{
	const unsigned int addresses = 20;
	unsigned int before = live_rss_kib(rdv.program.pid);

	(void)state;
	flood(addresses, RDV_STRANGERS_SHARE + 2, rdv.port, hello, hello_size);
	assert_in_range(rdv_strangers(), 1, addresses * RDV_STRANGERS_SHARE);
	assert_true(is_served());
	assert_memory(rdv.program.pid, before, addresses * RDV_STRANGERS_SHARE, RDV_STRANGER_KIB);
	end_flood();
	assert_true(becomes(rdv_strangers, 0));
}

static void test_flood_of_half_a_hello(void **state)
{
	const unsigned int most = places_fit(RDV_STRANGERS, descriptors, RDV_STRANGERS_FIT);
	unsigned int before = live_rss_kib(rdv.program.pid);

	(void)state;
	if (!can_flood)
		skip();
	flood(ADDRESSES, RDV_STRANGERS_SHARE + 2, rdv.port, hello, hello_size / 2);
	assert_true(becomes(rdv_strangers, most));
	assert_true(is_served());
	assert_memory(rdv.program.pid, before, most, RDV_STRANGER_KIB);
	end_flood();
	assert_true(becomes(rdv_strangers, 0));
}

static void test_flood_of_probes(void **state)
{
	const unsigned int most = places_fit(RDV_PROBE_STRANGERS, descriptors, RDV_PROBE_STRANGERS_FIT);
	unsigned int before = live_rss_kib(rdv.program.pid);

	(void)state;
	if (!can_flood)
		skip();
	flood(ADDRESSES, RDV_PROBE_STRANGERS_SHARE + 2, rdv.probes[0], "\0", 1);
	assert_true(becomes(probe_strangers, most));
	assert_true(is_probed(&rdv, NULL));
	assert_memory(rdv.program.pid, before, most, 1);
	end_flood();
	assert_true(becomes(probe_strangers, 0));
}

static void test_flood_of_relay_sides(void **state)
{
	const unsigned int most = places_fit(RELAY_STRANGERS, descriptors, RELAY_STRANGERS_FIT);
	unsigned int before = live_rss_kib(relay.program.pid);

	(void)state;
	if (!can_flood)
		skip();
	flood(ADDRESSES, RELAY_STRANGERS_SHARE + 2, relay.port, "\0", 1);
	assert_true(becomes(relay_strangers, most));
	assert_true(is_relayed());
	assert_memory(relay.program.pid, before, most, 1);
	end_flood();
	assert_true(becomes(relay_strangers, 0));
}

/* Two addresses with as many tickets as all who wait may be: another one with a ticket still gets a place */
static void test_flood_of_tickets(void **state)
{
	const char *const from[2] = { "127.7.1.1", "127.7.2.1" };
	const unsigned int most = places_fit(RELAY_VISITORS, descriptors, RELAY_VISITORS_FIT);
	struct ticket ticket = relay_ticket(0, TICKET_CALLER);
	long long crowd;
	int caller, callee;

	(void)state;
	if (!can_flood)
		skip();
	while (count < most) {
		secret_random(ticket.session, sizeof(ticket.session));
		secret_random(ticket.nonce, sizeof(ticket.nonce));
		fds[count] = relay_hello_from(from[count % 2], &relay, &ticket);
		count++;
	}
	assert_true(becomes(relay_strangers, 0));
	assert_int_equal(live_metric(relay.metrics, "punch_relay_waiting"), most);
	crowd = live_metric(relay.metrics, "punch_relay_refused_total{reason=\"crowd\"}");
	ticket = relay_ticket(9, TICKET_CALLER);
	caller = relay_hello(&relay, &ticket);
	assert_true(becomes(relay_strangers, 0));
	assert_int_equal(live_metric(relay.metrics, "punch_relay_waiting"), most);
	assert_int_equal(live_metric(relay.metrics, "punch_relay_refused_total{reason=\"crowd\"}"), crowd + 1);
	/* who lost his place is told */
	assert_int_equal(relay_status(fds[0]), PUNCH__RELAY_STATUS__RELAY_LIMIT);
	ticket = relay_ticket(9, TICKET_CALLEE);
	callee = relay_hello(&relay, &ticket);
	assert_int_equal(relay_status(caller), PUNCH__RELAY_STATUS__RELAY_JOINED);
	assert_int_equal(relay_status(callee), PUNCH__RELAY_STATUS__RELAY_JOINED);
	close(caller);
	close(callee);
	end_flood();
}

/* ---------------------------------------------------------------- nodes */

/* A node with a key of its own, at the address number @address; it stays, by its socket alone. Return: is it welcome? */
static bool register_from(const struct rdv *to, unsigned int address)
{
	struct node node = { .fd = -1 };
	char from[32];
	bool online;

	snprintf(from, sizeof(from), "127.8.%u.1", address);
	node.from = from;
	online = rdv_online(to, &node, true);
	if (online) {
		fds[count++] = node.fd;
		node.fd = -1;
	}
	node_free(&node);
	return online;
}

static struct node keep[150];
static struct rdv small;	/* a server with few descriptors, and so few places */
#define SMALL	680u		/* of them */

static long long small_nodes(void)
{
	return rdv_metric(&small, "nodes");
}

/* Keys cost nothing: 32 addresses take what they get, others get in all the same, and whoever is there stays */
static void test_nodes_of_32_addresses(void **state)
{
	const unsigned int share = SMALL / 2 / (RDV_NODES_PART + 1);
	char byte;

	(void)state;
	rdv_start(&small, "", SMALL);
	while (register_from(&small, 1))
		;
	assert_int_equal(count, share);
	for (unsigned int address = 2; address <= 32; address++)
		while (register_from(&small, address))
			;
	assert_int_equal(small_nodes(), count);
	assert_int_equal(rdv_metric(&small, "failed_total{reason=\"limit\"}"), 32);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(recv(fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
	assert_true(register_from(&small, 33));
	assert_true(register_from(&small, 33));
	end_flood();
	assert_true(becomes(small_nodes, 0));
	assert_true(register_from(&small, 1));
	end_flood();
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
	small.folder[0] = '\0';
}

static bool has_dropped(void *arg)
{
	(void)arg;
	return rdv_metric(&small, "closed_total{reason=\"overflow\"}") > 0;
}

/*
 * Nodes that ask and read nothing: each keeps what it may, all together no more than the server lets them, and the
 * longest queues end.  So the server's memory is bounded, and others are served
 */
static void test_nodes_that_do_not_read(void **state)
{
	const unsigned int most_kib = SMALL * RDV_QUEUES_FIT / 1024, nodes = 150;
	struct node good = { .fd = -1 };
	unsigned int before, now, address = 1;

	(void)state;
	rdv_start(&small, "", SMALL);
	assert_true(rdv_online(&small, &good, true));
	live_reads = 4096;
	for (unsigned int i = 0; i < nodes; address += i % 10 == 0) {
		struct node node = { .fd = -1 };
		char from[32];

		snprintf(from, sizeof(from), "127.8.%u.1", address);
		node.from = from;
		assert_true(rdv_online(&small, &node, false));
		keep[i] = node;
		i++;
	}
	live_reads = 0;
	before = live_rss_kib(small.program.pid);
	for (unsigned int i = 0; i < nodes; i++)
		assert_true(rdv_ask(&keep[i], 1500));
	assert_true(live_until(has_dropped, NULL));
	assert_true(rdv_ping(&good));
	assert_in_range(rdv_metric(&small, "queued_bytes"), 0, most_kib * 1024);
	now = live_rss_kib(small.program.pid);
	printf("%u nodes that do not read: %u KiB, %u KiB before\n", nodes, now, before);
	/* and what TLS keeps for a connection that has been used */
	assert_in_range(now, 0, before + most_kib + nodes * RDV_STRANGER_KIB);
	for (unsigned int i = 0; i < nodes; i++)
		node_free(&keep[i]);
	node_free(&good);
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
	small.folder[0] = '\0';
}

/*
 * Strangers of all kinds at once leave a server with few descriptors enough of them: who is registered stays, and others
 * come in
 */
static void test_strangers_leave_descriptors(void **state)
{
	const unsigned int handshakes = SMALL / RDV_STRANGERS_FIT, probes = SMALL / RDV_PROBE_STRANGERS_FIT;
	struct node registered = { .fd = -1 }, node = { .fd = -1 };

	(void)state;
	rdv_start(&small, "", SMALL);
	assert_true(rdv_online(&small, &registered, true));
	flood(20, handshakes / STRANGERS_SHARE_FIT + 2, small.port, hello, hello_size / 2);
	flood(20, probes / STRANGERS_SHARE_FIT + 2, small.probes[0], "\0", 1);
	wanted = count - handshakes - probes;
	assert_true(live_until(has_closed, NULL));
	assert_int_equal(rdv_metric(&small, "strangers"), handshakes);
	assert_int_equal(rdv_metric(&small, "probe_strangers"), probes);
	assert_true(rdv_online(&small, &node, false));
	assert_true(is_probed(&small, NULL));
	assert_false(live_log_has(small.folder, "out of descriptors"));
	assert_int_equal(small_nodes(), 2);
	node_free(&node);
	node_free(&registered);
	end_flood();
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
	small.folder[0] = '\0';
}

/* The same of a relay, which needs more for pairs and pipes */
static void test_strangers_leave_descriptors_to_a_relay(void **state)
{
	const unsigned int most = SMALL / RELAY_STRANGERS_FIT;
	struct relay few;
	int a, b;

	(void)state;
	relay_start(&few, SMALL);
	flood(20, most / STRANGERS_SHARE_FIT + 2, few.port, "\0", 1);
	wanted = count - most;
	assert_true(live_until(has_closed, NULL));
	assert_int_equal(live_metric(few.metrics, "punch_relay_strangers"), most);
	assert_true(relay_pair(&few, &a, &b));
	close(a);
	close(b);
	end_flood();
	assert_int_equal(relay_stop(&few), 0);
}

/* Probes that have had their answer make room for new ones: of the address with most, the one that asked first and not again */
static void test_probes_that_are_done_make_room(void **state)
{
	const unsigned int most = SMALL / 4;
	char byte;

	(void)state;
	rdv_start(&small, "", SMALL);
	for (unsigned int i = 0; i < most; i++) {
		open_one(i > most / 2, small.probes[0], NULL, 0);
		assert_true(asks(fds[i]));
	}
	assert_int_equal(rdv_metric(&small, "probes"), most);
	assert_true(asks(fds[0]));
	open_one(2, small.probes[0], NULL, 0);
	assert_true(asks(fds[most]));
	assert_int_equal(recv(fds[1], &byte, 1, 0), 0);
	assert_true(asks(fds[0]));
	assert_int_equal(closed(), 1);
	assert_int_equal(rdv_metric(&small, "probes_crowded_total"), 1);
	end_flood();
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
	small.folder[0] = '\0';
}

/* Return: what a request to connect back, to begin with, is answered by */
static int reserves(int fd)
{
	const struct stun_back want = { .what = STUN_STEP_RESERVE, .scope = STUN_SCOPE_PORT };
	uint8_t id[STUN_ID] = { 7 }, request[STUN_MAX], answer[STUN_MAX];
	size_t size = stun_request_back(request, id, &want);
	struct stun_back back = { 0 };
	ssize_t n;

	if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
		return -1;
	n = recv(fd, answer, sizeof(answer), 0);
	return n > 0 && stun_get_back(answer, (size_t)n, &back) ? back.what : -1;
}

static bool has_given_up(void *arg)
{
	return live_descriptors(small.program.pid) <= *(const unsigned int *)arg;
}

/* Reservations to connect back are shared, too, and not kept for ever */
static void test_reservations_of_one_address(void **state)
{
	const unsigned int share = SMALL / RDV_BACKS_FIT / STRANGERS_SHARE_FIT;
	unsigned int reserved = 0, before;

	(void)state;
	rdv_start(&small, "", SMALL);
	for (unsigned int i = 0; i < 3 * share; i++) {
		open_one(1, small.probes[0], NULL, 0);
		assert_true(asks(fds[i]));
	}
	open_one(2, small.probes[0], NULL, 0);
	assert_true(asks(fds[count - 1]));
	before = live_descriptors(small.program.pid);
	for (unsigned int i = 0; i < 3 * share; i++)
		reserved += reserves(fds[i]) == STUN_OUTCOME_RESERVED;
	assert_in_range(live_descriptors(small.program.pid), before + 1, before + share);
	assert_in_range(reserved, share, 3 * share);
	assert_int_equal(reserves(fds[count - 1]), STUN_OUTCOME_RESERVED);
	assert_true(live_until(has_given_up, &before));
	end_flood();
	assert_int_equal(rdv_stop(&small), 0);
	live_folder_remove(small.folder);
	small.folder[0] = '\0';
}

/* ---------------------------------------------------------------- one byte at a time */

#define DRIPS 6

struct drip {
	const char *name;
	int fd;
	const uint8_t *bytes;
	size_t size, sent;
	unsigned int least_s, most_s;	/* when it has to be closed */
	unsigned int closed_s;
};

/* Does the server have it ended? */
static bool drip_ended(struct drip *drip)
{
	char byte;

	return recv(drip->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
	       (drip->sent < drip->size && send(drip->fd, drip->bytes + drip->sent++, 1, MSG_NOSIGNAL) < 0);
}

/*
 * In a process of its own, beside the other tests: a byte every 700 ms keeps no place. Of the 28 bytes of a request the last
 * one would be sent after 19 s.  One that has asked and is silent stays. Return: exit status
 */
static int drip_run(void)
{
	uint8_t id[STUN_ID] = { 7 }, request[STUN_MAX] = { 0 };
	static const uint8_t relay_frame[FRAME_HEADER + 200] = { 0, 0, 0, 200, 10, 190 };
	static const uint8_t scrape[] = "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n";
	size_t size = stun_request(request, id);
	struct drip drips[DRIPS] = {
		{ "handshake", -1, hello, hello_size, 0, 9, 20, 0 },
		{ "first request", -1, request, size, 0, 9, 20, 0 },
		{ "second request", -1, request, size, 0, 9, 20, 0 },
		{ "relay hello", -1, relay_frame, sizeof(relay_frame), 0, 4, 15, 0 },
		{ "figures", -1, scrape, sizeof(scrape) - 1, 0, 4, 15, 0 },
		{ "figures of a relay", -1, scrape, sizeof(scrape) - 1, 0, 4, 15, 0 },
	};
	int idle = live_connect("127.0.0.1", rdv.probes[1]), left = DRIPS, status = !asks(idle);
	uint64_t started = clock_now();

	drips[0].fd = live_connect("127.0.0.1", rdv.port);
	drips[1].fd = live_connect("127.0.0.1", rdv.probes[1]);
	drips[2].fd = live_connect("127.0.0.1", rdv.probes[1]);
	drips[3].fd = live_connect("127.0.0.1", relay.port);
	drips[4].fd = live_connect("127.0.0.1", rdv.metrics);
	drips[5].fd = live_connect("127.0.0.1", relay.metrics);
	status |= !asks(drips[2].fd);
	while (left && clock_now() - started < 25 * SECOND) {
		poll(NULL, 0, 700);
		for (int i = 0; i < DRIPS; i++)
			if (!drips[i].closed_s && drip_ended(&drips[i])) {
				drips[i].closed_s = (unsigned int)((clock_now() - started) / SECOND);
				left--;
			}
	}
	for (int i = 0; i < DRIPS; i++) {
		fprintf(stderr, "%s: closed after %u s\n", drips[i].name, drips[i].closed_s);
		if (drips[i].closed_s < drips[i].least_s || drips[i].closed_s > drips[i].most_s)
			status |= 2 << i;
	}
	return status | (!asks(idle) ? 2 << DRIPS : 0);
}

static void test_a_byte_at_a_time_keeps_no_place(void **state)
{
	int status = -1;

	(void)state;
	assert_int_equal(waitpid(dripping, &status, 0), dripping);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(rdv_metric(&rdv, "probes_slow_total"), 2);
}

/* ---------------------------------------------------------------- */

/* What a client of ours says first, without a connection */
static void make_hello(void)
{
	struct key key = { .private = NULL };
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *out = BIO_new(BIO_s_mem());
	int n;

	assert_int_equal(key_generate(&key), 0);
	ctx = tls_context(&key, false);
	ssl = SSL_new(ctx);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	SSL_connect(ssl);
	n = BIO_read(out, hello, sizeof(hello));
	assert_in_range(n, 100, sizeof(hello) - 1);
	hello_size = (size_t)n;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	key_wipe(&key);
}

static int setup(void **state)
{
	struct rlimit limit;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(280);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	can_flood = limit.rlim_max >= MOST + 200;
	descriptors = limit.rlim_max > INT_MAX ? INT_MAX : (unsigned int)limit.rlim_max;
	make_hello();
	rdv_start(&rdv, "", 0);
	relay_start(&relay, 0);
	return 0;
}

static int stop_flood(void **state)
{
	(void)state;
	end_flood();
	return 0;
}

/* Its connections are strangers, too, and count: the floods come before it */
static int start_dripping(void **state)
{
	(void)state;
	dripping = fork();
	if (!dripping)
		_exit(drip_run());
	return 0;
}

static int teardown(void **state)
{
	int status = rdv_stop(&rdv) | relay_stop(&relay);

	(void)state;
	live_folder_remove(rdv.folder);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_handshakes_of_one_address, stop_flood),
		cmocka_unit_test_teardown(test_probes_of_one_address, stop_flood),
		cmocka_unit_test_teardown(test_relay_sides_of_one_address, stop_flood),
		cmocka_unit_test_teardown(test_share_is_refused_at_once, stop_flood),
		cmocka_unit_test_teardown(test_flood_of_half_done_handshakes, stop_flood),
		cmocka_unit_test_teardown(test_flood_of_half_a_hello, stop_flood),
		cmocka_unit_test_teardown(test_flood_of_probes, stop_flood),
		cmocka_unit_test_teardown(test_flood_of_relay_sides, stop_flood),
		cmocka_unit_test_teardown(test_flood_of_tickets, stop_flood),
		cmocka_unit_test_teardown(test_nodes_of_32_addresses, stop_flood),
		cmocka_unit_test_teardown(test_nodes_that_do_not_read, stop_flood),
		cmocka_unit_test_teardown(test_strangers_leave_descriptors, stop_flood),
		cmocka_unit_test_teardown(test_strangers_leave_descriptors_to_a_relay, stop_flood),
		cmocka_unit_test_teardown(test_probes_that_are_done_make_room, stop_flood),
		cmocka_unit_test_teardown(test_reservations_of_one_address, stop_flood),
		cmocka_unit_test_setup(test_a_byte_at_a_time_keeps_no_place, start_dripping),
	};

	return cmocka_run_group_tests_name("flood_live", tests, setup, teardown);
}
