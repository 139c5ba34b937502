/* SPDX-License-Identifier: MIT */
/*
 * test_serverless_hold.c - a place that is held for a peer, and strangers who come to it
 */
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "resolver/serverless_internal.h"
#include "resolver/session_internal.h"
#include "resolver/talk.h"

static void checked_free(void *memory);
static void *scarce_calloc(size_t count, size_t size);
static int scarce_accept4(int fd, struct sockaddr *from, socklen_t *size, int flags);

#define free checked_free
#define calloc scarce_calloc
#define accept4 scarce_accept4
#include "resolver/serverless_hold.c"
#undef free
#undef calloc
#undef accept4

#include "tests/unit/scratch.h"
#include "tests/unit/world.h"

#define STRANGERS (SERVERLESS_COMERS + 4)

static struct node node;
static struct serverless serverless;
static struct pal pal;
static uint8_t watched[32];		/* must not be in what is freed */
static bool leaked;
static bool no_memory;
static int accept_error;		/* 0 none */
static unsigned int accept_calls;

static void checked_free(void *memory)
{
	if (memory && memmem(memory, malloc_usable_size(memory), watched, sizeof(watched)))
		leaked = true;
	free(memory);
}

static void *scarce_calloc(size_t count, size_t size)
{
	return no_memory ? NULL : calloc(count, size);
}

static int scarce_accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
	accept_calls++;
	if (!accept_error)
		return accept4(fd, from, size, flags);
	errno = accept_error;
	return -1;
}

static int begin(void **state)
{
	(void)state;
	node.base = event_base_new();
	node.sessions = sessions_new(&node);
	serverless.node = &node;
	TAILQ_INIT(&serverless.awaited);
	TAILQ_INIT(&serverless.comers);
	pal.serverless = &serverless;
	strcpy(pal.peer.name, "peer");
	secret_random(&pal.meeting, sizeof(pal.meeting));
	if (!node.base || !node.sessions || world_isolate())
		return -1;
	endpoint_parse(&pal.address, "127.0.0.1", 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	sessions_free(node.sessions);
	event_base_free(node.base);
	return 0;
}

/* Each test has a bucket of its own, and so its own ports */
static struct awaited *awaited_of_test(void)
{
	static uint64_t buckets = 1000;
	struct awaited *awaited = calloc(1, sizeof(*awaited));

	assert_non_null(awaited);
	*awaited = (struct awaited){ .serverless = &serverless, .pal = &pal, .port = 80, .family = AF_INET, .bucket = buckets };
	buckets++;
	TAILQ_INIT(&awaited->holds);
	TAILQ_INSERT_TAIL(&serverless.awaited, awaited, link);
	return awaited;
}

static void awaited_end(struct awaited *awaited)
{
	while (!TAILQ_EMPTY(&awaited->holds))
		hold_free(TAILQ_FIRST(&awaited->holds));
	comers_free(&serverless);
	TAILQ_REMOVE(&serverless.awaited, awaited, link);
	free(awaited);
}

static struct sockaddr_in at(uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int come(const struct hold *hold)
{
	struct sockaddr_in to = at(hold->where.callee_port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

struct many {
	const struct hold *hold;
	unsigned int left;
	int *fds;
};

/* One after another, for a backlog is short */
static bool have_come(void *arg)
{
	struct many *many = arg;

	if (many->left)
		many->fds[--many->left] = come(many->hold);
	return !many->left;
}

static bool are_guests(void *arg)
{
	return serverless.comer_count >= *(unsigned int *)arg;
}

static void strangers(const struct hold *hold, int fds[STRANGERS])
{
	struct many many = { .hold = hold, .left = STRANGERS, .fds = fds };
	unsigned int most = SERVERLESS_COMERS_HOLD;

	assert_true(world_until(node.base, have_come, &many));
	assert_true(world_until(node.base, are_guests, &most));
}

static void close_all(int fds[STRANGERS])
{
	unsigned int i;

	for (i = 0; i < STRANGERS; i++)
		close(fds[i]);
}

static void on_nothing(void *arg, struct talk *talk, const Punch__Message *message)
{
	(void)arg;
	(void)talk;
	(void)message;
}

/* An Invite, under the right key; what it says is not looked at here */
static struct talk *invite(const struct meeting_place *where, int fd)
{
	Punch__Message message = PUNCH__MESSAGE__INIT;
	Punch__Invite invitation = PUNCH__INVITE__INIT;
	struct talk *talk;

	assert_int_equal(evutil_make_socket_nonblocking(fd), 0);
	talk = talk_new(node.base, fd, where->caller_key, where->callee_key, on_nothing, NULL);
	assert_non_null(talk);
	message.kind_case = PUNCH__MESSAGE__KIND_INVITE;
	message.invite = &invitation;
	assert_int_equal(talk_send(talk, &message), 0);
	return talk;
}

static bool is_used(void *arg)
{
	return ((struct awaited *)arg)->used & 1;
}

static void silent_strangers_keep_nobody_out(void **state)
{
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);
	struct meeting_place where;
	int fds[STRANGERS];
	struct talk *talk;

	(void)state;
	assert_non_null(hold);
	where = hold->where;
	strangers(hold, fds);
	assert_true(serverless.comer_count <= SERVERLESS_COMERS_HOLD);
	talk = invite(&where, come(hold));
	assert_true(world_until(node.base, is_used, awaited));
	talk_free(talk);
	close_all(fds);
	awaited_end(awaited);
}

static void nor_do_those_of_other_places(void **state)
{
	struct awaited *others[6], *awaited;
	int fds[6][STRANGERS];
	struct talk *talk;
	struct hold *hold;
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		others[i] = awaited_of_test();
		assert_non_null(hold_new(others[i], 0));
		strangers(TAILQ_FIRST(&others[i]->holds), fds[i]);
	}
	assert_int_equal(serverless.comer_count, SERVERLESS_COMERS);
	awaited = awaited_of_test();
	hold = hold_new(awaited, 0);
	assert_non_null(hold);
	talk = invite(&hold->where, come(hold));
	assert_true(world_until(node.base, is_used, awaited));
	talk_free(talk);
	for (i = 0; i < 6; i++) {
		close_all(fds[i]);
		awaited_end(others[i]);
	}
	awaited_end(awaited);
}

static bool is_engaged(void *arg)
{
	return ((struct hold *)arg)->state == HOLD_ENGAGED;
}

/* Where the peer of a hold connects from, and is connected to */
static int peers_listener(const struct meeting_place *where)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in from = at(where->caller_port);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(listener, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(listen(listener, 1), 0);
	return listener;
}

/* The hold's own socket has met the peer's, and the strangers are there already, or come afterwards */
static void whom_we_wait_for_is_always_heard(void **state)
{
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);
	int fds[2][STRANGERS], listener, fd;
	struct meeting_place where;
	struct talk *talk;

	(void)state;
	assert_non_null(hold);
	where = hold->where;
	strangers(hold, fds[0]);
	listener = peers_listener(&where);
	assert_true(world_until(node.base, is_engaged, hold));
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	strangers(hold, fds[1]);
	talk = invite(&where, fd);
	assert_true(world_until(node.base, is_used, awaited));
	talk_free(talk);
	close(listener);
	close_all(fds[0]);
	close_all(fds[1]);
	awaited_end(awaited);
}

static bool is_waiting(void *arg)
{
	return ((struct hold *)arg)->state == HOLD_WAITING;
}

/* Who answers on the hold's own socket and goes without a word: the place is held as before */
static void who_says_nothing_costs_the_place_nothing(void **state)
{
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);
	int listener;

	(void)state;
	assert_non_null(hold);
	listener = peers_listener(&hold->where);
	assert_true(world_until(node.base, is_engaged, hold));
	close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	assert_true(world_until(node.base, is_waiting, hold));
	assert_true(world_until(node.base, is_engaged, hold));
	assert_int_equal(awaited->used, 0);
	close(listener);
	awaited_end(awaited);
}

static bool is_refused(void *arg)
{
	char byte;

	return recv(*(int *)arg, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

/* Words that no peer says: no frame, or one that is not sealed under its key. All that it gets is the end */
static void say_rubbish(int fd, bool framed)
{
	static const uint8_t words[] = "GET / HTTP/1.1\r\n\r\n", frame[4 + 128] = { 0, 0, 0, 128 };
	size_t size = framed ? sizeof(frame) : sizeof(words) - 1;

	assert_int_equal(send(fd, framed ? frame : words, size, MSG_NOSIGNAL), (ssize_t)size);
	assert_true(world_until(node.base, is_refused, &fd));
	close(fd);
}

/* At its listener or on its own socket: in the same bucket, at the same place, the peer is heard */
static void who_says_rubbish_keeps_nobody_out(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct awaited *awaited = awaited_of_test();
		struct hold *hold = hold_new(awaited, 0);
		struct meeting_place where;
		struct talk *talk;
		int listener;

		assert_non_null(hold);
		where = hold->where;
		say_rubbish(come(hold), false);
		say_rubbish(come(hold), true);
		listener = peers_listener(&where);
		assert_true(world_until(node.base, is_engaged, hold));
		say_rubbish(accept4(listener, NULL, NULL, SOCK_CLOEXEC), i);
		assert_true(world_until(node.base, is_engaged, hold));
		assert_ptr_equal(TAILQ_FIRST(&awaited->holds), hold);
		assert_int_equal(awaited->used, 0);
		talk = invite(&where, i ? come(hold) : accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		assert_true(world_until(node.base, is_used, awaited));
		talk_free(talk);
		close(listener);
		awaited_end(awaited);
	}
}

struct accepting {
	int listener, fd;
};

static bool has_accepted(void *arg)
{
	struct accepting *accepting = arg;

	accepting->fd = accept4(accepting->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return accepting->fd >= 0;
}

static bool is_hung_up(void *arg)
{
	char byte;

	return recv(*(int *)arg, &byte, 1, MSG_DONTWAIT) == 0;
}

/* The peer was met, and there is no memory to hear it: it is hung up on, and the place is held anew, for it tries again */
static void without_memory_the_place_is_held_anew(void **state)
{
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);
	struct accepting first, second;
	struct meeting_place where;
	struct talk *talk;

	(void)state;
	assert_non_null(hold);
	where = hold->where;
	no_memory = true;
	first.listener = second.listener = peers_listener(&where);
	assert_int_equal(fcntl(first.listener, F_SETFL, O_NONBLOCK), 0);
	assert_true(world_until(node.base, has_accepted, &first));
	assert_true(world_until(node.base, is_hung_up, &first.fd));
	assert_int_equal(hold->state, HOLD_WAITING);
	assert_int_equal(hold->fd, -1);
	assert_int_equal(serverless.comer_count, 0);
	close(first.fd);
	no_memory = false;
	assert_true(world_until(node.base, has_accepted, &second));
	talk = invite(&where, second.fd);
	assert_true(world_until(node.base, is_used, awaited));
	talk_free(talk);
	close(second.listener);
	awaited_end(awaited);
}

/* It stays in the kernel's queue, and the loop does not spin for it */
static void who_cannot_be_let_in_waits(void **state)
{
	static const int errors[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM };
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);
	unsigned int i, one = 1;
	int fd;

	(void)state;
	assert_non_null(hold);
	for (i = 0; i < COUNT(errors); i++) {
		accept_error = errors[i];
		accept_calls = 0;
		fd = come(hold);
		world_turn(node.base, 30);
		assert_int_equal(accept_calls, 1);
		assert_int_equal(serverless.comer_count, 0);
		accept_error = 0;
		hold_accept(hold);
		assert_true(world_until(node.base, are_guests, &one));
		comers_free(&serverless);
		close(fd);
	}
	awaited_end(awaited);
}

static void keys_of_a_place_are_wiped(void **state)
{
	struct awaited *awaited = awaited_of_test();
	struct hold *hold = hold_new(awaited, 0);

	(void)state;
	assert_non_null(hold);
	memcpy(watched, hold->where.callee_key, sizeof(watched));
	leaked = false;
	awaited_end(awaited);
	assert_false(leaked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_strangers_keep_nobody_out),
		cmocka_unit_test(nor_do_those_of_other_places),
		cmocka_unit_test(whom_we_wait_for_is_always_heard),
		cmocka_unit_test(who_says_nothing_costs_the_place_nothing),
		cmocka_unit_test(who_says_rubbish_keeps_nobody_out),
		cmocka_unit_test(without_memory_the_place_is_held_anew),
		cmocka_unit_test(who_cannot_be_let_in_waits),
		cmocka_unit_test(keys_of_a_place_are_wiped),
	};

	return cmocka_run_group_tests_name("serverless hold", tests, begin, end);
}
