/* SPDX-License-Identifier: MIT */
/*
 * test_session_deaf.c - listeners for which there was no descriptor, or no watch, hear again
 *
 * The kernel refuses what it is told to refuse: the next descriptor for who comes, the next watch on a listener.
 */
#include "resolver/session_inlet.c"

#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

static struct node node;
static struct inlets inlets;
static struct session *session;
static unsigned int no_descriptor, no_watch;

int __real_event_add(struct event *event, const struct timeval *timeout);
int __wrap_event_add(struct event *event, const struct timeval *timeout);
int __real_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags);

int __wrap_event_add(struct event *event, const struct timeval *timeout)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (no_watch && getsockopt(event_get_fd(event), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens) {
		no_watch--;
		errno = ENOSPC;
		return -1;
	}
	return __real_event_add(event, timeout);
}

int __wrap_accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	if (!no_descriptor)
		return __real_accept4(fd, sa, len, flags);
	no_descriptor--;
	errno = EMFILE;
	return -1;
}

static int setup(void **state)
{
	(void)state;
	no_descriptor = no_watch = 0;
	memset(&node, 0, sizeof(node));
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	memset(&inlets, 0, sizeof(inlets));
	inlets.node = &node;
	TAILQ_INIT(&inlets.visitors);
	inlet_add(&inlets, AF_INET);
	return node.base && node.sessions && inlets.count == 1 ? 0 : -1;
}

static int teardown(void **state)
{
	struct inlet *inlet = &inlets.list[0];

	(void)state;
	while (!TAILQ_EMPTY(&inlets.visitors))
		visitor_free(TAILQ_FIRST(&inlets.visitors));
	if (inlet->event)
		event_free(inlet->event);
	if (inlet->rest)
		event_free(inlet->rest);
	close(inlet->fd);
	sessions_free(node.sessions);
	event_base_free(node.base);
	return 0;
}

static bool has_visitor(void *arg)
{
	(void)arg;
	return inlets.visitor_count == 1;
}

static bool has_path(void *arg)
{
	(void)arg;
	return session_any_path(session);
}

/* Return: descriptor */
static int come_to(uint16_t port)
{
	const struct endpoint to = { .family = AF_INET, .address = { 127, 0, 0, 1 }, .port = port };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss;
	int len = endpoint_to_sockaddr(&to, AF_INET, &ss);

	assert_int_equal(connect(fd, (struct sockaddr *)&ss, (socklen_t)len), 0);
	return fd;
}

static void an_inlet_hears_again_when_descriptors_and_then_watches_are_back(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(inlet_listen(&inlets.list[0]), 0);
	no_descriptor = no_watch = 1;
	fd = come_to(inlets.list[0].number);
	assert_true(world_until(node.base, has_visitor, NULL));
	assert_int_equal(no_descriptor + no_watch, 0);
	close(fd);
}

/* Until then it is none that peers are told of (inlets_external()) */
static void an_inlet_that_could_not_begin_to_listen_does_so_later(void **state)
{
	int fd;

	(void)state;
	no_watch = 1;
	assert_int_equal(inlet_listen(&inlets.list[0]), -ENOBUFS);
	assert_null(inlets.list[0].event);
	fd = come_to(inlets.list[0].number);
	assert_true(world_until(node.base, has_visitor, NULL));
	assert_non_null(inlets.list[0].event);
	close(fd);
}

static void a_lane_hears_again_too(void **state)
{
	struct port *port = calloc(1, sizeof(*port));
	struct endpoint local;
	int fd;

	(void)state;
	session = session_new(&node, true);
	assert_non_null(session);
	session->family = AF_INET;
	session->deadline = clock_now() + 60 * SECOND;
	session->state = SESSION_ANSWERED;
	assert_non_null(port);
	port->holder = port->probes[0] = port->probes[1] = -1;
	session->lanes[0].port = port;
	assert_int_equal(session_listen(session), 0);
	assert_int_equal(endpoint_local(session->lanes[0].fd, &local), 0);
	no_descriptor = no_watch = 1;
	fd = come_to(local.port);
	assert_true(world_until(node.base, has_path, NULL));
	assert_int_equal(no_descriptor + no_watch, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_inlet_hears_again_when_descriptors_and_then_watches_are_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_inlet_that_could_not_begin_to_listen_does_so_later, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lane_hears_again_too, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
