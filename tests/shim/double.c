/* SPDX-License-Identifier: MIT */
/*
 * double.c - stands in for punch-resolver, for tests of the shim alone
 *
 * Speaks common/local.h, does the same things to descriptors as the resolver
 * (parked sockets, simultaneous open, doorbells, splices), but reaches no network: a
 * peer's port is the same port on 127.0.0.1.  What happens is in the peer's name:
 *
 *	bob		there after 30 ms
 *	slow		there after 1.5 s
 *	lazy		there at once
 *	refuser		ECONNREFUSED after 30 ms
 *	never		ETIMEDOUT when the request's time is over; where he rings, the claim is hung up on
 *	denied		refused with EACCES when asked
 *	crowd-N		is a name, and nothing more
 *	moved		an alias of whoever the file says
 *
 *	double --background		as punch-resolver
 *	double ring PEER PORT		be PEER and connect to the published PORT; stdin and stdout go there
 *	double stop
 *	double squat UID		take the first name of that user's resolver, and never answer
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/local.h"
#include "common/standin.h"

#define THINGS		256
#define CLAIM		SECOND		/* unclaimed for so long: spliced */
#define RESET		(20 * MS)	/* a failed one is connected for so long */
#define DOUBLE_KEEPIDLE	90		/* s, see under.h */
#define ALIAS		0x0a090002u	/* 10.9.0.2 is bob's literal alias */
#define CROWD		1000u		/* slot of crowd-0 */

/* A port of the program's socket that waits */
struct waiting {
	uint64_t cookie;	/* 0: free */
	int copy;		/* passed copy of the program's socket */
	int listener, filler;	/* drops its SYNs */
	int completer;		/* far end of its connection, -1 until completed */
	int real;
	uint64_t at;		/* of the next event: completion, failure, splice */
	int error;		/* what comes of it */
	struct sockaddr_storage park;
	socklen_t park_size;
	uint32_t slot;
	uint16_t port;
	int failing;		/* completed, to be reset: for a moment the program sees a connection */
};

struct bell {
	int fd;			/* 0: free */
	int real;
	uint16_t port;		/* its source */
	uint32_t slot;
	uint64_t at;
};

struct splice {
	int a, b;		/* 0: free */
};

/* Far ends of sockets that were claimed: another thread of the program may still look at them */
struct leftover {
	int fd;			/* 0: free */
	uint64_t at;
};

static const struct { const char *name; int delay_ms; int error; } peers[] = {
	{ "", 0, 0 }, { "bob", 30, 0 }, { "slow", 1500, 0 }, { "lazy", 0, 0 }, { "refuser", 30, ECONNREFUSED },
	{ "never", -1, ETIMEDOUT }, { "denied", 0, EACCES },
};
#define PEERS (sizeof(peers) / sizeof(peers[0]))

static struct waiting waiting[THINGS];
static struct bell bells[THINGS];
static struct splice splices[THINGS];
static struct leftover leftovers[THINGS];
static struct local_config config;
static struct { int family, v6only; struct endpoint bound; } published[65536];

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "double: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	return cookie;
}

/* The peer in whose section of the file the alias is now; "" none */
static void find_moved(char *name, size_t size)
{
	FILE *file = fopen(config.path, "re");
	char line[256], section[64] = "";

	name[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "[peer %63[^]]", section);
		if (strcmp(line, "alias = moved\n") == 0)
			snprintf(name, size, "%s", section);
	}
	if (file)
		fclose(file);
}

/* "bob", "BOB", "bob.punch", "bob." Return: index, 0 unknown */
static uint32_t peer_of(const struct local_request *in)
{
	char name[LIMIT_HOST];
	uint32_t i, address;

	snprintf(name, sizeof(name), "%s", in->peer);
	name[strcspn(name, ".")] = '\0';
	if (strcmp(name, "moved") == 0)
		find_moved(name, sizeof(name));
	memcpy(&address, in->target.address, sizeof(address));
	if (!name[0] && in->target.family == AF_INET && ntohl(address) == ALIAS)
		return 1;
	if (!name[0] && standin_slot(&in->target) > 100 && standin_slot(&in->target) < 100 + PEERS)
		return standin_slot(&in->target) - 100;
	for (i = 1; i < PEERS; i++) {
		if (strcasecmp(peers[i].name, name) == 0)
			return i;
	}
	return 0;
}

static int bound(int domain, const char *v4, socklen_t *size, struct sockaddr_storage *ss)
{
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	struct endpoint ep;

	endpoint_parse(&ep, v4, 0);
	*size = (socklen_t)endpoint_to_sockaddr(&ep, domain, ss);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)ss, *size) < 0 || getsockname(fd, (struct sockaddr *)ss, size) < 0)
		die("bind");
	return fd;
}

/* ------------------------------------------------------------ parked sockets */

static void unpark(struct waiting *w)
{
	int *fds[] = { &w->copy, &w->listener, &w->filler, &w->completer };
	size_t i;

	for (i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] > 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* What the program has undone, with connect(AF_UNSPEC) or shutdown() */
static void drop(uint64_t cookie)
{
	struct waiting *w;

	for (w = waiting; w < waiting + THINGS; w++) {
		if (w->cookie != cookie)
			continue;
		if (w->real >= 0)
			close(w->real);
		unpark(w);
		w->cookie = 0;
	}
}

static void park(int fd, const struct local_request *in, struct local_reply *reply)
{
	struct waiting *w;
	uint32_t peer = peer_of(in);

	drop(cookie_of(fd));
	for (w = waiting; w < waiting + THINGS && w->cookie; w++)
		;
	reply->slot = peer + 100;
	snprintf(reply->peer, sizeof(reply->peer), "%s", peers[peer].name);
	if (w == waiting + THINGS || !peer || peers[peer].error == EACCES) {
		reply->status = LOCAL_FAILED;
		reply->error = peer ? EACCES : EHOSTUNREACH;
		snprintf(reply->text, sizeof(reply->text), "%s:%u: refused by the double", in->peer, in->target.port);
		return;
	}
	w->listener = bound((int)in->family, "127.0.0.1", &w->park_size, &w->park);
	listen(w->listener, 0);
	w->filler = socket((int)in->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(w->filler, (struct sockaddr *)&w->park, w->park_size) < 0)
		die("filler");
	if (connect(fd, (struct sockaddr *)&w->park, w->park_size) < 0 && errno == ECONNABORTED)
		connect(fd, (struct sockaddr *)&w->park, w->park_size);	/* said once after a connect() that failed */
	if (errno != EINPROGRESS) {
		reply->status = LOCAL_FAILED;
		reply->error = errno;
		snprintf(reply->text, sizeof(reply->text), "the socket cannot be parked: %s", strerror(errno));
		return;
	}
	w->cookie = cookie_of(fd);
	w->copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	w->completer = w->real = -1;
	w->slot = reply->slot;
	w->error = peers[peer].error;
	w->failing = 0;
	w->port = in->target.port;
	w->at = clock_now() + (uint64_t)(peers[peer].delay_ms < 0 ? (int)in->timeout_ms : peers[peer].delay_ms) * MS;
}

static void splice_add(int a, int b)
{
	struct splice *s;

	for (s = splices; s < splices + THINGS && s->a; s++)
		;
	s->a = a;
	s->b = b;
}

/* The local simultaneous open. Return: false when the program has closed its socket */
static int complete(struct waiting *w)
{
	struct sockaddr_storage program;
	socklen_t size = sizeof(program);
	int on = 1;

	getsockname(w->copy, (struct sockaddr *)&program, &size);
	close(w->copy);		/* the program alone holds it now */
	w->copy = -1;
	w->completer = socket(program.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(w->completer, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(w->completer, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(w->completer, (struct sockaddr *)&w->park, w->park_size) < 0)
		die("bind of the completer");
	return connect(w->completer, (struct sockaddr *)&program, size) == 0;
}

static void reset(struct waiting *w)
{
	const struct linger off = { .l_onoff = 1 };

	setsockopt(w->completer, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close(w->completer);
	w->completer = -1;
	w->at = NEVER;
}

/* As the resolver does: every punched socket keeps its NATs awake */
static void keep_alive(int fd)
{
	const int on = 1, idle = DOUBLE_KEEPIDLE;

	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	/* As the local end of an encrypted connection has it (resolver/pair.c) */
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* Its time has come */
static void waiting_turn(struct waiting *w)
{
	const struct timeval limit = { .tv_sec = 2 }, none = { 0 };
	struct sockaddr_storage to;
	struct endpoint ep;
	socklen_t size;

	if (w->failing) {
		reset(w);
		return;
	}
	if (w->completer >= 0) {		/* nobody claimed it */
		splice_add(dup(w->completer), w->real);
		unpark(w);
		w->cookie = 0;
		return;
	}
	if (!complete(w)) {
		unpark(w);
		w->cookie = 0;
		return;
	}
	endpoint_parse(&ep, "127.0.0.1", w->port);
	size = (socklen_t)endpoint_to_sockaddr(&ep, w->park.ss_family, &to);
	w->real = socket(w->park.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(w->real, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!w->error && connect(w->real, (struct sockaddr *)&to, size) < 0)
		w->error = errno;
	setsockopt(w->real, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none));
	keep_alive(w->real);
	w->failing = w->error != 0;
	w->at = clock_now() + (w->failing ? RESET : CLAIM);
}

static void leave(int *fd)
{
	struct leftover *l;

	for (l = leftovers; l < leftovers + THINGS && l->fd; l++)
		;
	if (l == leftovers + THINGS || *fd < 0)
		return;
	l->fd = *fd;
	l->at = clock_now() + CLAIM;
	*fd = -1;
}

static int claim_parked(int fd, bool copied, struct local_reply *reply)
{
	uint64_t cookie = cookie_of(fd);
	struct waiting *w;
	int real;

	for (w = waiting; w < waiting + THINGS && w->cookie != cookie; w++)
		;
	if (w == waiting + THINGS) {
		reply->status = LOCAL_NOT_OURS;
		return -1;
	}
	if (w->completer < 0 && w->at != NEVER) {
		reply->status = LOCAL_FAILED;
		reply->error = EINPROGRESS;
		return -1;
	}
	reply->slot = w->slot;
	real = w->real;
	if (w->error) {
		reply->status = LOCAL_FAILED;
		reply->error = w->error;
		snprintf(reply->text, sizeof(reply->text), "%s: failed in the double: %s", peers[w->slot - 100].name,
			 strerror(w->error));
		real = -1;
	} else if (copied) {
		reply->status = LOCAL_NOT_OURS;
		splice_add(w->completer, real);
		w->completer = real = -1;
	}
	leave(&w->completer);
	unpark(w);
	w->cookie = 0;
	return real;
}

/* ------------------------------------------------------------ doorbells */

/* Return: the far end of a new connection, which rings for PEER at PORT */
static int ring(const struct local_request *in, struct local_reply *reply)
{
	struct sockaddr_storage ss, to;
	socklen_t size, to_size;
	struct endpoint ep;
	struct bell *b;
	int family = published[in->target.port].family, far, listener;

	for (b = bells; b < bells + THINGS && b->fd; b++)
		;
	if (!family || b == bells + THINGS) {
		reply->status = LOCAL_FAILED;
		reply->error = ECONNREFUSED;
		snprintf(reply->text, sizeof(reply->text), "port %u is not published", in->target.port);
		return -1;
	}
	listener = bound(family, "127.0.0.1", &size, &ss);
	listen(listener, 1);
	far = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(far, (struct sockaddr *)&ss, size) < 0)
		die("far");
	b->real = -1;
	while (b->real < 0)	/* the listener is non-blocking */
		b->real = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	keep_alive(b->real);
	close(listener);
	b->slot = peer_of(in) + 100;
	b->at = clock_now() + CLAIM;
	ep = published[in->target.port].bound;
	if (endpoint_is_any(&ep))
		endpoint_parse(&ep, published[in->target.port].v6only ? "::1" : "127.0.0.1", in->target.port);
	to_size = (socklen_t)endpoint_to_sockaddr(&ep, ep.family, &to);
	b->fd = bound(ep.family, ep.family == AF_INET ? "127.112.0.1" : "::1", &size, &ss);
	endpoint_from_sockaddr(&ep, (struct sockaddr *)&ss, size);
	b->port = ep.port;
	if (connect(b->fd, (struct sockaddr *)&to, to_size) < 0 && errno != EINPROGRESS)
		die("ring");
	return far;
}

static int claim_doorbell(int fd, struct local_reply *reply)
{
	struct endpoint ep = { 0 };
	struct bell *b;
	int real;

	endpoint_remote(fd, &ep);
	for (b = bells; b < bells + THINGS; b++) {
		if (!b->fd || b->port != ep.port || !endpoint_is_loopback(&ep))
			continue;
		reply->slot = b->slot;
		if (peers[b->slot - 100].error) {
			reply->status = LOCAL_FAILED;
			reply->error = ECONNABORTED;
			if (strcmp(peers[b->slot - 100].name, "never") == 0)
				reply->magic = 0;	/* not even that */
			close(b->fd);
			b->fd = 0;
			return -1;
		}
		endpoint_remote(b->real, &reply->remote);
		reply->path = LOCAL_PATH_DIRECT;
		real = b->real;
		close(b->fd);
		b->fd = 0;
		return real;
	}
	reply->status = LOCAL_NOT_OURS;
	return -1;
}

static void publish(int fd, struct local_reply *reply)
{
	struct endpoint ep;
	int domain = 0, protocol = 0;
	socklen_t size = sizeof(domain);

	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
	if (endpoint_local(fd, &ep) < 0 || protocol != IPPROTO_TCP) {
		strcpy(reply->text, "only a plain TCP socket can be published");
		reply->status = LOCAL_FAILED;
		return;
	}
	published[ep.port].family = domain;
	published[ep.port].v6only = 0;
	if (domain == AF_INET6)
		getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &published[ep.port].v6only, &size);
	published[ep.port].bound = ep;
}

/* ------------------------------------------------------------ requests */

static int handle(const struct local_request *in, int fd, int own, struct local_reply *reply)
{
	int trusted;

	memset(reply, 0, sizeof(*reply));
	memset(reply->token, 7, sizeof(reply->token));
	reply->magic = LOCAL_MAGIC;
	trusted = own || memcmp(in->token, reply->token, sizeof(in->token)) == 0;
	if (!trusted && in->kind != LOCAL_CLAIM_PARKED && in->kind != LOCAL_CLAIM_DOORBELL) {
		reply->status = LOCAL_DENIED;
		return -1;
	}
	if (!local_config_equal(&in->config, &config)) {
		reply->status = LOCAL_OTHER_CONFIG;
		return -1;
	}
	switch (in->kind) {
	case LOCAL_NAME:
		if (sscanf(in->peer, "crowd-%u", &reply->slot) == 1) {
			reply->slot += CROWD;
			snprintf(reply->peer, sizeof(reply->peer), "%s", in->peer);
			return -1;
		}
		reply->slot = peer_of(in) + 100;
		snprintf(reply->peer, sizeof(reply->peer), "%s", peers[reply->slot - 100].name);
		if (reply->slot == 100)
			reply->status = LOCAL_NOT_OURS;
		return -1;
	case LOCAL_PARK:
		park(fd, in, reply);
		return -1;
	case LOCAL_CLAIM_PARKED:
		return claim_parked(fd, in->copy, reply);
	case LOCAL_LISTEN:
		publish(fd, reply);
		return -1;
	case LOCAL_CLAIM_DOORBELL:
		return claim_doorbell(fd, reply);
	case LOCAL_PING:
		return ring(in, reply);
	default:
		exit(0);
	}
}

static void serve(int listener)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), fd, pass = -1;
	struct local_request in;
	struct local_reply reply;
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);

	if (client < 0)
		return;
	getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &size);
	if (local_recv(client, &in, sizeof(in), &fd) == (ssize_t)sizeof(in)) {
		pass = handle(&in, fd, who.uid == getuid(), &reply);
		/* before the program goes on: an accepted socket holds the port, and a program may bind it anew at once */
		if (fd >= 0)
			close(fd);
		fd = -1;
		if (reply.magic)
			local_send(client, &reply, sizeof(reply), pass);
	}
	if (pass >= 0)
		close(pass);
	if (fd >= 0)
		close(fd);
	close(client);
}

/* ------------------------------------------------------------ loop */

static void turn(uint64_t now)
{
	size_t i;

	for (i = 0; i < THINGS; i++) {
		if (waiting[i].cookie && waiting[i].at <= now)
			waiting_turn(&waiting[i]);
		if (bells[i].fd && bells[i].at <= now) {
			splice_add(bells[i].fd, bells[i].real);
			bells[i].fd = 0;
		}
		if (leftovers[i].fd && leftovers[i].at <= now) {
			close(leftovers[i].fd);
			leftovers[i].fd = 0;
		}
	}
}

/* Copy what is there. Return: false when one side has ended */
static int copy(int from, int to)
{
	char data[4096];
	ssize_t n = recv(from, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN;
	return n > 0 && send(to, data, (size_t)n, MSG_NOSIGNAL) == n;
}

static _Noreturn void loop(int listener)
{
	struct pollfd fds[1 + 2 * THINGS];

	for (;;) {
		nfds_t count = 1, i;

		fds[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		for (i = 0; i < THINGS; i++) {
			if (!splices[i].a)
				continue;
			fds[count++] = (struct pollfd){ .fd = splices[i].a, .events = POLLIN };
			fds[count++] = (struct pollfd){ .fd = splices[i].b, .events = POLLIN };
		}
		if (poll(fds, count, 5) == 0 && config.path[0] && access(config.path, F_OK) && errno == ENOENT)
			exit(0);	/* its test has ended, and was not able to say so */
		if (fds[0].revents)
			serve(listener);
		for (i = 0; i < THINGS; i++) {
			if (splices[i].a && (!copy(splices[i].a, splices[i].b) || !copy(splices[i].b, splices[i].a))) {
				close(splices[i].a);
				close(splices[i].b);
				splices[i].a = 0;
			}
		}
		turn(clock_now());
	}
}

static void take(char *to, size_t size, const char *name)
{
	const char *value = getenv(name);

	snprintf(to, size, "%s", value ? value : "");
}

static void load_config(void)
{
	take(config.secret, sizeof(config.secret), "PUNCH_SECRET");
	if (!config.secret[0]) {
		take(config.path, sizeof(config.path), "PUNCH_CONF");
		return;
	}
	take(config.as, sizeof(config.as), "PUNCH_AS");
	take(config.rendezvous, sizeof(config.rendezvous), "PUNCH_RENDEZVOUS");
}

static int ask(struct local_request *request, struct local_reply *reply)
{
	struct sockaddr_un sun;
	unsigned int n;
	int got = -1;

	request->magic = LOCAL_MAGIC;
	request->config = config;
	for (n = 0; n < LOCAL_NAMES; n++) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		int size = local_address(&sun, getuid(), &config, n);

		reply->status = LOCAL_OTHER_CONFIG;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 2 }, sizeof(struct timeval));
		if (connect(fd, (struct sockaddr *)&sun, (socklen_t)size) == 0 &&
		    local_send(fd, request, sizeof(*request), -1) == 0 &&
		    local_recv(fd, reply, sizeof(*reply), &got) == 0)
			reply->status = LOCAL_OK;	/* it stopped */
		close(fd);
		if (reply->status != LOCAL_OTHER_CONFIG)
			return got;
	}
	die("no resolver");
}

static int ring_client(const char *peer, const char *port)
{
	struct local_request request = { .kind = LOCAL_PING };
	struct local_reply reply = { 0 };
	int far, open_in = 1;

	snprintf(request.peer, sizeof(request.peer), "%s", peer);
	request.target.port = (uint16_t)atoi(port);
	far = ask(&request, &reply);
	if (far < 0) {
		fprintf(stderr, "double: %s\n", reply.text);
		return 1;
	}
	for (;;) {
		struct pollfd fds[2] = { { .fd = far, .events = POLLIN }, { .fd = open_in ? 0 : -1, .events = POLLIN } };
		char data[4096];
		ssize_t n;

		poll(fds, 2, -1);
		if (fds[1].revents) {
			n = read(0, data, sizeof(data));
			open_in = n > 0 && send(far, data, (size_t)n, MSG_NOSIGNAL) == n;
			if (!open_in)
				shutdown(far, SHUT_WR);
		}
		if (fds[0].revents) {
			n = read(far, data, sizeof(data));
			if (n <= 0 || write(1, data, (size_t)n) != n)
				return 0;
		}
	}
}

int main(int argc, char **argv)
{
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size;
	struct sockaddr_un sun;
	struct rlimit files;
	unsigned int n = 0;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	load_config();
	if (argc == 4 && strcmp(argv[1], "ring") == 0)
		return ring_client(argv[2], argv[3]);
	if (argc == 2 && strcmp(argv[1], "stop") == 0) {
		struct local_request request = { .kind = LOCAL_STOP };
		struct local_reply reply;

		ask(&request, &reply);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "squat") == 0) {
		size = local_address(&sun, (uid_t)atoi(argv[2]), &config, 0);
		if (bind(listener, (struct sockaddr *)&sun, (socklen_t)size) < 0 || listen(listener, 64) < 0)
			die("squat");
		for (;;)
			pause();
	}
	do {
		size = local_address(&sun, getuid(), &config, n);
		if (size < 0)
			die("address");
	} while (bind(listener, (struct sockaddr *)&sun, (socklen_t)size) < 0 && ++n < LOCAL_NAMES);
	if (n == LOCAL_NAMES || listen(listener, 64) < 0)
		die("no name is free");
	listener = fcntl(listener, F_DUPFD_CLOEXEC, 3);		/* started with 0 to 2 closed, perhaps */
	if (argc > 1 && strcmp(argv[1], "--background") == 0) {
		if (fork() > 0)
			_exit(0);
		setsid();
		close(0);
		close(1);
		close(2);
		socket(AF_UNIX, SOCK_STREAM, 0);	/* 0 to 2 stay taken: 0 means "free" here */
		socket(AF_UNIX, SOCK_STREAM, 0);
		socket(AF_UNIX, SOCK_STREAM, 0);
	}
	loop(listener);
}
