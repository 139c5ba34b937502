/* SPDX-License-Identifier: MIT */
/*
 * fuzz_answers.c - what STUN servers say: to prepared ports, a study of the NATs, another opinion, a wait in silence
 *
 * The input plays all the servers, on loopback.  Its first byte: who asks.  Each chunk is a step on one of the connections
 * that came; its head: bits 0-3 which, bits 4-6 what (enum step).  Promises: each asker is done at most once, and
 * says nothing that its header does not know.
 */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "common/log.h"
#include "common/stun.h"
#include "resolver/dns.h"
#include "resolver/lifetime.h"
#include "resolver/ports.h"
#include "resolver/session_internal.h"
#include "resolver/study.h"
#include "tests/fuzz/fuzz.h"

enum step {
	STEP_BYTES,		/* as they are */
	STEP_ANSWER,		/* a good answer; the first byte: which address (see mapped_of()), the rest laid over it (XOR) */
	STEP_BACK,		/* the same with CONNECT-BACK: then outcome and a port (16 bits) */
	STEP_SLOWLY,		/* the same byte by byte */
	STEP_AGAIN,		/* the same answer once more */
	STEP_CLOSE,
	STEP_CONNECT,		/* come to the asker's port */
	STEP_TIME,		/* 2 to the power of the connection's number, in seconds */
};

#define SERVERS	2
#define CONNECTIONS 16
#define TURNS	3

static struct event_base *base;
static struct node node;
static struct endpoint servers[SERVERS];
static int listeners[SERVERS], comer = -1;
static unsigned int done, hops;

static struct connection {
	int fd;
	uint8_t request[STUN_MAX], answer[STUN_MAX];
	size_t request_size, answer_size;
} connections[CONNECTIONS];
static unsigned int count;

/* A public address of our own, so that a mapped one can be reached from inside; without it the hairpin just fails */
static void add_public(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6336401) };	/* 198.51.100.1 */
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo:1" };

	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	if (ioctl(fd, SIOCSIFADDR, &ifr))
		fprintf(stderr, "no public address here: run it by tests/fuzz/run\n");
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	unsigned int i;
	uint16_t port;

	(void)argc;
	(void)argv;
	log_init("fuzz", "error", NULL);
	setenv("STATE_DIRECTORY", "/dev/null", 1);	/* nothing is kept from one input to the next */
	add_public();
	for (i = 0; i < SERVERS; i++) {
		port = 0;
		listeners[i] = fuzz_listen((uint8_t)(i + 1), &port);
		servers[i] = (struct endpoint){ .family = AF_INET, .port = port, .address = { 127, 0, 0, (uint8_t)(i + 1) } };
	}
	node.base = base = event_base_new();
	node.dns = dns_new(base);
	MUST(base && node.dns);
	snprintf(node.conf.stun, sizeof(node.conf.stun), "127.0.0.1:%u 127.0.0.2:%u", servers[0].port, servers[1].port);
	return 0;
}

/* ------------------------------------------------------------ servers */

static void meet(void)
{
	unsigned int i;
	ssize_t n;
	int fd;

	fuzz_turn(base, TURNS);
	for (i = 0; i < SERVERS; i++) {
		while ((fd = fuzz_accept(listeners[i])) >= 0) {
			if (count == CONNECTIONS)
				close(fd);
			else
				connections[count++] = (struct connection){ .fd = fd };
		}
	}
	fuzz_turn(base, 1);
	for (i = 0; i < count; i++) {
		n = recv(connections[i].fd, connections[i].request, STUN_MAX, MSG_DONTWAIT);
		if (n > 0)
			connections[i].request_size = (size_t)n;
	}
}

static uint16_t number_of(const struct connection *c)
{
	struct sockaddr_in sin = { 0 };
	socklen_t size = sizeof(sin);

	return getpeername(c->fd, (struct sockaddr *)&sin, &size) ? 0 : ntohs(sin.sin_port);
}

static struct endpoint mapped_of(const struct connection *c, uint8_t which)
{
	struct endpoint ep = { .family = AF_INET, .port = number_of(c), .address = { 198, 51, 100, 1 } };

	if (which & 1)
		ep.port = (uint16_t)(ep.port + (which >> 3) + 1);
	if (which & 2)
		ep.address[3] = which;
	if (which & 4)
		ep = (struct endpoint){ .family = AF_INET6, .port = 7, .address = { 0x20, 1, 0xd, 0xb8, [15] = which } };
	return ep;
}

static void answer(struct connection *c, const struct chunk *chunk, bool with_back)
{
	const uint8_t *b = chunk->data;
	struct endpoint mapped = mapped_of(c, chunk->size ? b[0] : 0);
	struct stun_back back = { .what = STUN_OUTCOME_RESERVED, .scope = STUN_SCOPE_PORT };
	size_t over = with_back ? 4 : 1, i;
	ssize_t n;

	if (chunk->size > 3) {
		back.what = b[1];
		back.port = (uint16_t)(b[2] << 8 | b[3]);
	}
	n = stun_answer(c->request, c->request_size, &mapped, with_back ? &back : NULL, c->answer);
	if (n < 0)
		return;
	c->answer_size = (size_t)n;
	for (i = 0; over + i < chunk->size && i < (size_t)n; i++)
		c->answer[i] ^= b[over + i];
}

static void say(const struct connection *c, const uint8_t *data, size_t size, size_t some)
{
	size_t at;

	for (at = 0; at < size && send(c->fd, data + at, some, MSG_NOSIGNAL | MSG_DONTWAIT) > 0; at += some)
		fuzz_turn(base, 1);
}

static void come(const struct connection *c)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_port = htons(number_of(c)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	if (comer >= 0)
		close(comer);
	comer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	connect(comer, (struct sockaddr *)&sin, sizeof(sin));
}

static void step(const struct chunk *chunk)
{
	struct connection *c = &connections[(chunk->head & 15) % (count ? count : 1)];
	enum step what = chunk->head >> 4 & 7;

	if (!count || c->fd < 0)
		return;
	if (what == STEP_ANSWER || what == STEP_BACK || what == STEP_SLOWLY)
		answer(c, chunk, what != STEP_ANSWER);
	switch (what) {
	case STEP_BYTES:
		say(c, chunk->data, chunk->size, chunk->size);
		break;
	case STEP_ANSWER: case STEP_BACK: case STEP_AGAIN:
		say(c, c->answer, c->answer_size, c->answer_size);
		break;
	case STEP_SLOWLY:
		say(c, c->answer, c->answer_size, 1);
		break;
	case STEP_CLOSE:
		close(c->fd);
		c->fd = -1;
		break;
	case STEP_CONNECT:
		come(c);
		break;
	case STEP_TIME:
		fuzz_ahead += 1u << (chunk->head & 15);
	}
}

/* ------------------------------------------------------------ askers */

static unsigned int on_hops(void *arg)
{
	(void)arg;
	return hops;
}

static bool is_known(int outcome)
{
	return outcome >= STUN_OUTCOME_NONE && outcome < STUN_OUTCOME_COUNT;
}

static void on_study(void *arg, const struct study_result *result)
{
	(void)arg;
	done++;
	MUST(is_known(result->port) && is_known(result->address) && is_known(result->held) && is_known(result->hairpin));
	MUST(!result->mapped.family || (result->mapped.port && endpoint_is_unicast(&result->mapped)));
	MUST(study_filtering(result) <= PUNCH__FILTERING__FILTERING_SYN_ACK_ONLY);
	MUST(study_stray(result) <= PUNCH__STRAY_SYN__STRAY_SYN_ICMP);
	study_by_address(result);
}

static void on_lifetime(void *arg, unsigned int seconds)
{
	(void)arg;
	done++;
	MUST(seconds == 0 || (seconds >= LIFETIME_FIRST / 2 && seconds <= LIFETIME_LAST));
}

static void play(const uint8_t *data, size_t size)
{
	struct chunk chunk;

	meet();
	while (!done && fuzz_chunk(&data, &size, &chunk)) {
		step(&chunk);
		meet();
	}
}

static void with_ports(const uint8_t *data, size_t size)
{
	static struct sessions sessions;	/* their budget */
	struct ports *ports = ports_new(&node);
	struct description facts;
	struct port *port;

	MUST(ports);
	memset(&sessions, 0, sizeof(sessions));
	node.sessions = &sessions;
	node.ports = ports;
	play(data, size);
	memset(&facts, 0, sizeof(facts));
	ports_facts(ports, &facts);
	MUST(facts.mapping <= PUNCH__MAPPING__MAPPING_ADDRESS_PORT_DEPENDENT && facts.port_low <= facts.port_high);
	port = ports_take(ports);
	if (port)
		MUST(port->number && (!port->mapped[0].family || port->mapped[0].port));
	port_free(port);
	ports_free(ports);
	node.ports = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct budget budget = { 0 };
	struct lifetime *lifetime;
	struct study *study;

	if (!size)
		return 0;
	done = count = 0;
	hops = data[0] >> 4;
	switch (data[0] % 3) {
	case 0:
		study = study_start(base, &servers[0], data[0] & 8 ? &servers[1] : NULL, &budget, on_hops, on_study, NULL);
		MUST(study);
		play(data + 1, size - 1);
		if (!done)
			study_cancel(study);
		break;
	case 1:
		lifetime = lifetime_start(base, &servers[0], on_lifetime, NULL);
		MUST(lifetime);
		play(data + 1, size - 1);
		if (!done)
			lifetime_cancel(lifetime);
		break;
	default:
		with_ports(data + 1, size - 1);
	}
	MUST(done <= 1);
	for (; count; count--)
		if (connections[count - 1].fd >= 0)
			close(connections[count - 1].fd);
	if (comer >= 0)
		close(comer);
	comer = -1;
	fuzz_turn(base, 1);
	return 0;
}
