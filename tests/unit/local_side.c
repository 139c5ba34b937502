/* SPDX-License-Identifier: MIT */
/*
 * local_side.c - the resolver's local side in a process of its own, and a client of it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/key.h"
#include "common/log.h"
#include "common/secret.h"
#include "resolver/connections_internal.h"
#include "resolver/doctor.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/keeper.h"
#include "resolver/life.h"
#include "resolver/load.h"
#include "resolver/local_internal.h"
#include "resolver/serverless.h"
#include "resolver/names.h"
#include "resolver/parked.h"
#include "resolver/porter.h"
#include "resolver/process.h"
#include "resolver/services_internal.h"
#include "resolver/session.h"
#include "resolver/splice.h"
#include "resolver/state.h"
#include "resolver/timer.h"
#include "tests/unit/local_side.h"

#define WAIT_S	10	/* nothing that works takes longer on a loaded machine */

#define MUST(what) do { if (!(what)) { perror(#what); abort(); } } while (0)

/* As resolver/main.c does it: this very program is executed again to be a porter */
static void __attribute__((constructor)) be_porter(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--porter"))
		return;
	process_title_init(argc, argv);
	process_clean(PORTER_LINK_FD + 1);
	log_init("punch-porter", getenv("PUNCH_LOG"), NULL);
	porter_run();
}

static struct local_config config;
static pid_t side;

/* ------------------------------------------------------------ sessions that end on this host */

struct session {
	struct node *node;
	struct peer peer;
	uint16_t port;
	int family;
	session_done *done;
	session_step *step;
	void *arg;
	struct event *timer;
};

static unsigned int started, cancelled, hellos, open_sessions;

static struct sockaddr_storage loopback(int family, uint16_t port, socklen_t *size)
{
	struct sockaddr_storage ss;
	struct endpoint ep;

	endpoint_parse(&ep, "127.0.0.1", port);
	*size = (socklen_t)endpoint_to_sockaddr(&ep, family, &ss);
	return ss;
}

/* Two ends of one TCP connection, each of its own family */
static void tcp_pair(int fds[2], int family, int far_family)
{
	int listener = socket(far_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	struct endpoint ep;
	socklen_t size;

	ss = loopback(far_family, 0, &size);
	MUST(listener >= 0 && bind(listener, (struct sockaddr *)&ss, size) == 0 && listen(listener, 1) == 0);
	MUST(endpoint_local(listener, &ep) == 0);
	fds[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ss = loopback(family, ep.port, &size);
	MUST(fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&ss, size) == 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	MUST(fds[1] >= 0);
	close(listener);
}

static void session_free(struct session *s)
{
	event_free(s->timer);
	free(s);
	open_sessions--;
}

/* Into our own service, or to a server of the test */
static void reach(struct session *s, struct session_result *result)
{
	struct service service;
	struct track track;
	int rc = services_admit(s->node, s->port, &s->peer, &service), fds[2];
	struct sockaddr_storage ss;
	socklen_t size;

	if (rc == -EACCES) {
		result->error = ECONNREFUSED;
		snprintf(result->text, sizeof(result->text), "not allowed");
	} else if (rc == 0) {
		tcp_pair(fds, s->family, service.family);
		connections_track(fds[1], &track);
		doorbell_ring(s->node, &service, &s->peer, fds[1], &track, LOCAL_PATH_DIRECT, 10000);
		result->fd = fds[0];
	} else {
		result->fd = socket(s->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		ss = loopback(s->family, s->port, &size);
		if (connect(result->fd, (struct sockaddr *)&ss, size) < 0) {
			result->error = errno;
			snprintf(result->text, sizeof(result->text), "port %u: %s", s->port, strerror(errno));
			close(result->fd);
			result->fd = -1;
		}
	}
}

static void on_session(evutil_socket_t fd, short what, void *arg)
{
	struct session_result result = { .fd = -1, .path = LOCAL_PATH_DIRECT, .setup_us = 10000 };
	struct session *s = arg;

	(void)fd;
	(void)what;
	if (strcmp(s->peer.name, "refuser") == 0) {
		result.error = ECONNREFUSED;
		snprintf(result.text, sizeof(result.text), "refuser has no service on port %u", s->port);
	} else {
		reach(s, &result);
	}
	if (result.fd >= 0)
		connections_track(result.fd, &result.track);
	if (s->step)
		s->step(s->arg, 5000, "half way");
	s->done(s->arg, &result);
	session_free(s);
}

struct session *session_dial(struct node *node, const struct peer *peer, uint16_t port, int family,
			     uint32_t timeout_ms, uint32_t route, session_done *done, session_step *step, void *arg)
{
	struct session *s = calloc(1, sizeof(*s));

	(void)timeout_ms;
	(void)route;
	MUST(s);
	*s = (struct session){ .node = node, .peer = *peer, .port = port, .family = family,
			       .done = done, .step = step, .arg = arg };
	s->timer = evtimer_new(node->base, on_session, s);
	if (strcmp(peer->name, "never") != 0)
		timer_set(s->timer, strcmp(peer->name, "slow") == 0 ? 300 * MS : 10 * MS);
	started++;
	open_sessions++;
	return s;
}

void session_cancel(struct session *s)
{
	cancelled++;
	session_free(s);
}

bool serverless_view(const struct serverless *serverless, unsigned int i, struct meeting_view *view)
{
	(void)serverless;
	(void)i;
	(void)view;
	return false;
}

bool sessions_meeting(const struct sessions *sessions, unsigned int i, struct meeting_view *view)
{
	(void)sessions;
	(void)i;
	(void)view;
	return false;
}

unsigned int sessions_count(const struct sessions *sessions)
{
	(void)sessions;
	return open_sessions;
}

/* ------------------------------------------------------------ the other neighbours */

const char *uplink_name(const struct uplink *uplink)
{
	(void)uplink;
	return "nowhere";
}

const char *uplink_problem(const struct uplink *uplink)
{
	static char text[64];

	(void)uplink;
	snprintf(text, sizeof(text), "started=%u cancelled=%u hellos=%u", started, cancelled, hellos);
	return text;
}

enum uplink_state uplink_state(const struct uplink *uplink)
{
	(void)uplink;
	return UPLINK_READY;
}

bool uplink_tried(const struct uplink *uplink)
{
	(void)uplink;
	return true;
}

void uplink_explain(const struct uplink *uplink, char *text, size_t size)
{
	snprintf(text, size, "%s", uplink_problem(uplink));
}

void uplink_wake(struct uplink *uplink)
{
	(void)uplink;
}

const char *uplink_state_name(enum uplink_state state)
{
	(void)state;
	return "ready";
}

uint32_t uplink_rtt_us(const struct uplink *uplink)
{
	(void)uplink;
	return 1000;
}

void uplink_hello_changed(struct uplink *uplink)
{
	(void)uplink;
	hellos++;
}

struct later {
	void (*done)(void *arg, const char *text);
	void *arg;
};

static void on_doctor(evutil_socket_t fd, short what, void *arg)
{
	struct later *later = arg;

	(void)fd;
	(void)what;
	later->done(later->arg, "healthy\n");
	free(later);
}

void doctor_start(struct node *node, int as_json, void (*done)(void *arg, const char *text), void *arg)
{
	const struct timeval soon = { .tv_usec = 50000 };
	struct later *later = malloc(sizeof(*later));

	(void)as_json;
	MUST(later);
	later->done = done;
	later->arg = arg;
	event_base_once(node->base, -1, EV_TIMEOUT, on_doctor, later, &soon);
}

/* ------------------------------------------------------------ the process */

static struct node *open_node(int listener)
{
	static struct node node;
	struct event_config *precise;
	char why[LOAD_WHY];
	struct stat conf;
	unsigned int i;

	signal(SIGPIPE, SIG_IGN);
	log_init("side", getenv("PUNCH_LOG"), NULL);
	if (load_node(&node, &config, &conf, why, sizeof(why)) < 0) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	node.started = clock_now();
	secret_random(node.token, sizeof(node.token));
	precise = event_config_new();
	event_config_set_flag(precise, EVENT_BASE_FLAG_PRECISE_TIMER);	/* as worker.c */
	node.base = event_base_new_with_config(precise);
	event_config_free(precise);
	node.local = local_new(&node, listener);
	node.life = life_new(&node, -1, &conf);
	node.names = names_new();
	node.services = services_new(&node);
	node.connections = connections_new();
	node.splices = splices_new(&node);
	node.drains = drains_new(node.base);
	node.doorbells = doorbells_new(&node);
	node.parked = parked_new(&node);
	node.uplink_count = 1;
	node.sessions = (struct sessions *)&node;	/* never looked into by the double */
	state_load(&node);
	for (i = 0; i < node.conf.peer_count; i++)
		names_slot(node.names, node.conf.peers[i].name);
	return &node;
}

static void close_node(struct node *node)
{
	local_free(node->local);
	parked_free(node->parked);
	doorbells_free(node->doorbells);
	state_free(node);
	splices_free(node->splices);
	drains_free(node->drains);
	connections_free(node->connections);
	services_free(node->services);
	names_free(node->names);
	life_free(node->life);
	event_base_free(node->base);
	load_free(node);
}

static _Noreturn void serve(int listener)
{
	struct node *node;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	node = open_node(listener);
	event_base_dispatch(node->base);
	close_node(node);
	exit(0);
}

static int bind_name(void)
{
	char why[LOAD_WHY];
	int listener = keeper_bind(&config, why, sizeof(why));

	if (listener < 0)
		fprintf(stderr, "%s\n", why);
	MUST(listener >= 0);
	return listener;
}

static void launch(void)
{
	int listener = bind_name();

	side = fork();
	if (side == 0)
		serve(listener);
	close(listener);
}

static void write_conf(const char *folder)
{
	static const char *const names[] = { "bob", "slow", "refuser", "never", "carol" };
	char path[LIMIT_PATH + 16], text[KEY_TEXT_SIZE], why[256];
	struct key key;
	unsigned int i;
	FILE *out;

	snprintf(path, sizeof(path), "%s/node.key", folder);
	MUST(key_generate(&key) == 0 && key_save(&key, path, why, sizeof(why)) == 0);
	key_wipe(&key);
	out = fopen(config.path, "w");
	MUST(out);
	fprintf(out, "[node]\nname = tester\nkey = node.key\nrendezvous = nowhere\n");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		MUST(key_generate(&key) == 0);
		fprintf(out, "[peer %s]\nkey = %s\n%s", names[i], key_text(key.public, text),
			i ? "" : "alias = bob.example.org 10.9.0.2\n");
		key_wipe(&key);
	}
	fprintf(out, "[service web]\nport = %d\nallow = bob slow\n[service open]\nport = %d\n", SIDE_SERVICE, SIDE_OPEN);
	MUST(fclose(out) == 0);
}

static void configure(const char *folder)
{
	memset(&config, 0, sizeof(config));
	snprintf(config.path, sizeof(config.path), "%s/punch.conf", folder);
	setenv("XDG_STATE_HOME", folder, 1);
	unsetenv("STATE_DIRECTORY");
	write_conf(folder);
}

void side_start(const char *folder)
{
	configure(folder);
	launch();
}

struct event_base *side_here(const char *folder)
{
	configure(folder);
	return open_node(bind_name())->base;
}

void side_kill(void)
{
	kill(side, SIGKILL);
	waitpid(side, NULL, 0);
}

void side_again(void)
{
	side_kill();
	launch();
}

pid_t side_pid(void)
{
	return side;
}

const struct local_config *side_config(void)
{
	return &config;
}

/* ------------------------------------------------------------ a client */

int side_connect(void)
{
	const struct timeval limit = { .tv_sec = WAIT_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size;
	struct sockaddr_un sun;

	size = local_address(&sun, geteuid() == 65534 ? 0 : geteuid(), &config, 0);
	MUST(fd >= 0 && size > 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	MUST(connect(fd, (struct sockaddr *)&sun, (socklen_t)size) == 0);
	return fd;
}

void side_request(struct local_request *request, enum local_kind kind)
{
	memset(request, 0, sizeof(*request));
	request->magic = LOCAL_MAGIC;
	request->kind = kind;
	request->config = config;
	request->timeout_ms = WAIT_S * 1000;
	request->family = AF_INET;
}

void side_ask(const struct local_request *request, int pass, struct local_reply *reply, int *fd)
{
	int socket = side_connect(), came = -1;

	MUST(local_send(socket, request, sizeof(*request), pass) == 0);
	MUST(local_recv(socket, reply, sizeof(*reply), &came) == (ssize_t)sizeof(*reply));
	MUST(fd || came < 0);
	if (fd)
		*fd = came;
	close(socket);
}

enum local_status side_simple(enum local_kind kind, const char *peer, int pass, struct local_reply *reply, int *fd)
{
	struct local_request request;

	side_request(&request, kind);
	snprintf(request.peer, sizeof(request.peer), "%s", peer);
	side_ask(&request, pass, reply, fd);
	return reply->status;
}

char *side_status(void)
{
	struct local_request request;
	struct local_reply reply;
	int socket = side_connect(), pass;
	char *text = calloc(1, 1 << 20);
	size_t size = 0;
	ssize_t n;

	MUST(text);
	side_request(&request, LOCAL_STATUS);
	request.as_json = 1;
	MUST(local_send(socket, &request, sizeof(request), -1) == 0);
	MUST(local_recv(socket, &reply, sizeof(reply), &pass) == (ssize_t)sizeof(reply));
	while ((n = local_recv(socket, text + size, LOCAL_PACKET, &pass)) > 0)
		size += (size_t)n;
	MUST(n == 0);
	close(socket);
	return text;
}

static bool status_becomes(const char *text, bool wanted)
{
	uint64_t until = clock_now() + WAIT_S * SECOND;
	bool late, good;
	char *status;

	do {
		late = clock_now() >= until;
		status = side_status();
		good = (strstr(status, text) != NULL) == wanted;
		if (!good && late)
			fprintf(stderr, "%s\n", status);
		else if (!good)
			poll(NULL, 0, 20);
		free(status);
	} while (!good && !late);
	return good;
}

bool side_status_has(const char *text)
{
	return status_becomes(text, true);
}

bool side_status_lacks(const char *text)
{
	return status_becomes(text, false);
}

int side_listen(const char *address, uint16_t port)
{
	struct sockaddr_storage ss;
	struct endpoint ep;
	int fd, on = 1;

	MUST(endpoint_parse(&ep, address, port) == 0);
	fd = socket(ep.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	MUST(bind(fd, (struct sockaddr *)&ss, (socklen_t)endpoint_to_sockaddr(&ep, ep.family, &ss)) == 0);
	MUST(listen(fd, 16) == 0);
	return fd;
}

short side_poll(int fd, short events, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	return poll(&pollfd, 1, timeout_ms) == 1 ? pollfd.revents : 0;
}

enum local_status side_publish(int fd, uint16_t port, struct local_reply *reply)
{
	struct local_request request;

	side_request(&request, LOCAL_LISTEN);
	request.target.port = port;
	side_ask(&request, fd, reply, NULL);
	return reply->status;
}

int side_call(const char *peer, uint16_t port)
{
	struct local_request request;
	struct local_reply reply;
	int fd;

	side_request(&request, LOCAL_DIAL);
	strcpy(request.peer, peer);
	request.target.port = port;
	side_ask(&request, -1, &reply, &fd);
	if (fd >= 0)
		close(fd);
	return reply.status == LOCAL_OK ? 0 : reply.error;
}
