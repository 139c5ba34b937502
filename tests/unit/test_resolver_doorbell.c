/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_doorbell.c - a program that listens is woken and takes the peer's socket
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/side_scratch.h"
#include "common/clock.h"
#include "common/standin.h"

#define PATIENCE 5000	/* ms; nothing that works takes longer */

static int published_as(const char *address)
{
	int fd = side_listen(address, SIDE_SERVICE);
	struct local_reply reply;

	assert_int_equal(side_simple(LOCAL_LISTEN, "", fd, &reply, NULL), LOCAL_OK);
	return fd;
}

/* Bob's end of a call */
static int bob_calls(void)
{
	struct local_request request;
	struct local_reply reply;
	int fd;

	side_request(&request, LOCAL_DIAL);
	strcpy(request.peer, "bob");
	request.target.port = SIDE_SERVICE;
	side_ask(&request, -1, &reply, &fd);
	assert_int_equal(reply.status, LOCAL_OK);
	return fd;
}

static int accept_one(int listener)
{
	int fd;

	assert_int_equal(side_poll(listener, POLLIN, PATIENCE), POLLIN);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int claim(int accepted, struct local_reply *reply)
{
	int fd;

	side_simple(LOCAL_CLAIM_DOORBELL, "", accepted, reply, &fd);
	return fd;
}

/* What one end says is heard at the other, and the end of it */
static void say(int from, int to, const char *text)
{
	char heard[64] = "";
	size_t size = strlen(text), got = 0;

	assert_int_equal(send(from, text, size, MSG_NOSIGNAL), (ssize_t)size);
	while (got < size) {
		assert_true(side_poll(to, POLLIN, PATIENCE) & POLLIN);
		ssize_t n = recv(to, heard + got, sizeof(heard) - 1 - got, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(heard, text);
}

static void hang_up(int from, int to)
{
	char byte;

	assert_int_equal(shutdown(from, SHUT_WR), 0);
	assert_true(side_poll(to, POLLIN, PATIENCE) & POLLIN);
	assert_int_equal(recv(to, &byte, 1, 0), 0);
}

/* ------------------------------------------------------------ claims */

static void the_program_takes_the_peers_socket(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener), fd;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	struct endpoint bobs, remote;
	struct local_reply reply;

	(void)state;
	assert_int_equal(getpeername(accepted, (struct sockaddr *)&ss, &size), 0);
	assert_true(doorbell_is_sockaddr((struct sockaddr *)&ss, size));
	fd = claim(accepted, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	assert_string_equal(reply.peer, "bob");
	assert_int_equal(reply.path, LOCAL_PATH_DIRECT);
	endpoint_local(bob, &bobs);
	endpoint_remote(fd, &remote);
	assert_true(endpoint_equal(&bobs, &remote));		/* the very socket, no copy between */
	assert_true(endpoint_equal(&bobs, &reply.remote));
	assert_int_equal(dup3(fd, accepted, O_CLOEXEC), accepted);
	close(fd);
	say(bob, accepted, "question");
	say(accepted, bob, "answer");
	assert_true(side_status_has("\"direction\":\"in\""));
	hang_up(bob, accepted);
	hang_up(accepted, bob);
	close(accepted);
	close(bob);
	close(listener);
}

static void each_kind_of_listener_gets_a_socket_of_its_family(void **state)
{
	static const struct { const char *address; int family; } kinds[] = {
		{ "127.0.0.1", AF_INET }, { "127.9.9.9", AF_INET }, { "::", AF_INET6 }, { "::1", AF_INET6 },
	};
	struct local_reply reply;
	socklen_t size;
	int domain;

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int listener = published_as(kinds[i].address), bob = bob_calls(), accepted = accept_one(listener);
		int fd = claim(accepted, &reply);

		assert_int_equal(reply.status, LOCAL_OK);
		size = sizeof(domain);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
		assert_int_equal(domain, kinds[i].family);
		say(bob, fd, "hello");
		close(fd);
		close(accepted);
		close(bob);
		close(listener);
	}
}

static void many_calls_at_once_reach_the_right_sockets(void **state)
{
	enum { CALLS = 100 };
	int listener = published_as("0.0.0.0"), bobs[CALLS], fds[CALLS];
	struct endpoint bobs_own, bobs_far, local, remote;
	struct local_reply reply;

	(void)state;
	assert_int_equal(listen(listener, CALLS), 0);
	for (int i = 0; i < CALLS; i++)
		bobs[i] = bob_calls();
	for (int i = 0; i < CALLS; i++) {
		int accepted = accept_one(listener);

		fds[i] = claim(accepted, &reply);
		assert_int_equal(reply.status, LOCAL_OK);
		close(accepted);
	}
	for (int i = 0; i < CALLS; i++) {
		int pairs = 0;

		endpoint_local(bobs[i], &bobs_own);
		endpoint_remote(bobs[i], &bobs_far);
		for (int k = 0; k < CALLS; k++)
			pairs += endpoint_remote(fds[k], &remote) == 0 && endpoint_equal(&bobs_own, &remote) &&
				 endpoint_local(fds[k], &local) == 0 && endpoint_equal(&bobs_far, &local);
		assert_int_equal(pairs, 1);
	}
	for (int i = 0; i < CALLS; i++) {
		close(bobs[i]);
		close(fds[i]);
	}
	close(listener);
}

static void a_doorbell_is_good_for_one_claim(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);
	struct local_reply reply;
	int fd = claim(accepted, &reply);

	(void)state;
	assert_int_equal(reply.status, LOCAL_OK);
	assert_int_equal(claim(accepted, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(fd);
	close(accepted);
	close(bob);
	close(listener);
}

/* Our own end lives until the program has closed the accepted one, and leaves nothing behind */
static void the_accepted_socket_stays_whole_until_it_is_replaced(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);
	struct local_reply reply;
	int fd = claim(accepted, &reply);

	(void)state;
	assert_int_equal(side_poll(accepted, POLLIN | POLLRDHUP, 200), 0);
	close(accepted);
	/* Not FIN-WAIT-2: now and then our RST meets the kernel in the midst of tcp_close() and is lost */
	assert_int_equal(system("list() { ss -Htan state time-wait state close-wait state established "
				"'( src 127.112.0.0/16 or dst 127.112.0.0/16 )'; }; i=0; while list | grep -q .; do "
				"i=$((i + 1)); [ $i -lt 100 ] || { list >&2; exit 1; }; sleep 0.05; done"), 0);
	close(fd);
	close(bob);
	close(listener);
}

/* ------------------------------------------------------------ who may claim */

static int claim_as_nobody(int accepted)
{
	struct local_reply reply;
	int status, fd;
	pid_t pid = fork();

	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		fd = claim(accepted, &reply);
		for (int i = 0; i < LOCAL_TOKEN; i++)
			if (reply.token[i])
				_exit(254);
		_exit(reply.status == LOCAL_OK && fd < 0 ? 253 : (int)reply.status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static void a_worker_without_rights_claims_by_possession(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);
	int status = claim_as_nobody(accepted);

	(void)state;
	close(accepted);
	close(bob);
	close(listener);
	if (status == 255)
		skip();
	assert_int_equal(status, LOCAL_OK);
}

static void an_ordinary_local_client_is_no_peer(void **state)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(DOORBELL_NET | 0x0909) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SIDE_SERVICE),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = published_as("0.0.0.0"), client = socket(AF_INET, SOCK_STREAM, 0), accepted;
	struct local_reply reply;

	(void)state;
	assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);	/* any local user can do that */
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	accepted = accept_one(listener);
	assert_int_equal(claim(accepted, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	assert_int_equal(claim(client, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(accepted);
	close(client);
	close(listener);
}

/* The same two addresses and ports, made in a network namespace of one's own */
static void a_forged_pair_of_addresses_proves_nothing(void **state)
{
	int listener = published_as("127.0.0.1"), bob = bob_calls(), accepted = accept_one(listener), home, forged;
	struct sockaddr_in from, to;
	socklen_t size = sizeof(from);
	struct local_reply reply;
	int theirs, client;

	(void)state;
	assert_int_equal(getpeername(accepted, (struct sockaddr *)&from, &size), 0);
	assert_int_equal(getsockname(accepted, (struct sockaddr *)&to, &size), 0);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up"), 0);
	theirs = side_listen("127.0.0.1", SIDE_SERVICE);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(client, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	forged = accept_one(theirs);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(claim(forged, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(claim(accepted, &reply));
	assert_int_equal(reply.status, LOCAL_OK);		/* the true one is still good */
	close(forged);
	close(client);
	close(theirs);
	close(home);
	close(accepted);
	close(bob);
	close(listener);
}

/* How far another user comes who takes the port that the server has just left */
enum { THIEF_GOT_IT, THIEF_HUNG_UP_ON, THIEF_NOT_RUNG, THIEF_NO_PORT, THIEF_NO_USER = 255 };

static int steal(const struct sockaddr_in *port)
{
	int listener, accepted, fd, on = 1;
	struct local_reply reply;

	if (setresuid(NOBODY, NOBODY, NOBODY))
		return THIEF_NO_USER;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (const struct sockaddr *)port, sizeof(*port)) || listen(listener, 5))
		return THIEF_NO_PORT;
	if (side_poll(listener, POLLIN, PATIENCE) != POLLIN)	/* the doorbell's SYN is repeated after 1 s */
		return THIEF_NOT_RUNG;
	accepted = accept(listener, NULL, NULL);
	fd = claim(accepted, &reply);
	send(fd >= 0 ? fd : accepted, "I am your server", 16, MSG_NOSIGNAL);
	if (reply.status == LOCAL_OK)
		return THIEF_GOT_IT;
	/* Nor by keeping silent until the sockets are joined */
	return side_poll(accepted, POLLRDHUP, PATIENCE) & POLLRDHUP ? THIEF_HUNG_UP_ON : THIEF_GOT_IT;
}

static void another_user_slips_under_the_port(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SIDE_SERVICE),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = published_as("0.0.0.0"), filler = socket(AF_INET, SOCK_STREAM, 0), bob, status;
	char heard[32];
	pid_t pid;

	(void)state;
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(connect(filler, (struct sockaddr *)&to, sizeof(to)), 0);
	bob = bob_calls();
	assert_true(side_status_has("\"direction\":\"in\""));
	close(listener);		/* the server is started again, or dies */
	close(filler);
	pid = fork();
	if (pid == 0)
		_exit(steal(&to));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == THIEF_NO_USER) {
		close(bob);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), THIEF_HUNG_UP_ON);
	assert_true(side_poll(bob, POLLIN, PATIENCE) & POLLIN);
	assert_true(recv(bob, heard, sizeof(heard), 0) <= 0);
	close(bob);
}

/* ------------------------------------------------------------ programs that do not claim */

static void a_static_server_is_served_by_copying(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);

	(void)state;
	say(bob, accepted, "client speaks first");	/* after DOORBELL_CLAIM */
	say(accepted, bob, "server answers");
	hang_up(bob, accepted);
	say(accepted, bob, "after half-close");
	hang_up(accepted, bob);
	close(accepted);
	close(bob);
	close(listener);
}

static void a_static_server_that_speaks_first_need_not_wait(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);
	uint64_t before = clock_now();

	(void)state;
	say(accepted, bob, "220 ready");
	assert_true(clock_now() - before < 900 * MS);
	say(bob, accepted, "HELO");
	close(accepted);
	assert_true(side_poll(bob, POLLRDHUP, PATIENCE) & POLLRDHUP);
	close(bob);
	close(listener);
}

static void a_late_claim_is_still_good_while_nobody_spoke(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener), fd;
	struct local_reply reply;

	(void)state;
	world_turn(NULL, 1300);		/* a program that was busy: longer than DOORBELL_CLAIM */
	fd = claim(accepted, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	say(bob, fd, "hello");
	close(fd);
	close(accepted);
	close(bob);
	close(listener);
}

static int deferring(void)
{
	int listener = published_as("0.0.0.0"), seconds = 30;

	assert_int_equal(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)), 0);
	return listener;
}

static void a_listener_that_waits_for_data_is_woken(void **state)
{
	int listener = deferring(), bob = bob_calls(), accepted, fd;
	struct local_reply reply;
	char text[8] = "";

	(void)state;
	assert_int_equal(send(bob, "GET /", 5, 0), 5);
	accepted = accept_one(listener);
	fd = claim(accepted, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 5);	/* not a byte is missing */
	assert_string_equal(text, "GET /");
	close(fd);
	close(accepted);
	close(bob);
	close(listener);
}

static void a_static_one_that_waits_for_data_gets_each_byte_once(void **state)
{
	int listener = deferring(), bob = bob_calls(), accepted;
	char text[16] = "";
	size_t got = 0;

	(void)state;
	assert_int_equal(send(bob, "GET /", 5, 0), 5);
	accepted = accept_one(listener);
	while (got < 5) {
		assert_true(side_poll(accepted, POLLIN, PATIENCE) & POLLIN);
		got += (size_t)recv(accepted, text + got, sizeof(text) - 1 - got, 0);
	}
	assert_string_equal(text, "GET /");
	say(accepted, bob, "200 OK");
	say(bob, accepted, "more");
	close(accepted);
	close(bob);
	close(listener);
}

static void a_full_backlog_is_waited_for(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(SIDE_SERVICE),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = published_as("0.0.0.0"), filler = socket(AF_INET, SOCK_STREAM, 0), bob, accepted, fd;
	struct local_reply reply;

	(void)state;
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(connect(filler, (struct sockaddr *)&to, sizeof(to)), 0);
	bob = bob_calls();
	world_turn(NULL, 50);
	close(accept_one(listener));			/* the filler; the doorbell's SYN is repeated after 1 s */
	accepted = accept_one(listener);
	fd = claim(accepted, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	say(bob, fd, "hello");
	close(fd);
	close(accepted);
	close(filler);
	close(bob);
	close(listener);
}

static void a_peer_that_cannot_be_handed_over_is_hung_up_on(void **state)
{
	int listener = published_as("0.0.0.0"), bob = bob_calls(), accepted = accept_one(listener);
	char byte;

	(void)state;
	close(accepted);		/* the program refuses it without a word: tcp wrappers, an overloaded server */
	assert_true(side_poll(bob, POLLIN, PATIENCE) & POLLIN);
	assert_true(recv(bob, &byte, 1, 0) <= 0);
	close(bob);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_program_takes_the_peers_socket),
		cmocka_unit_test(each_kind_of_listener_gets_a_socket_of_its_family),
		cmocka_unit_test(many_calls_at_once_reach_the_right_sockets),
		cmocka_unit_test(a_doorbell_is_good_for_one_claim),
		cmocka_unit_test(the_accepted_socket_stays_whole_until_it_is_replaced),
		cmocka_unit_test(a_worker_without_rights_claims_by_possession),
		cmocka_unit_test(an_ordinary_local_client_is_no_peer),
		cmocka_unit_test(a_forged_pair_of_addresses_proves_nothing),
		cmocka_unit_test(another_user_slips_under_the_port),
		cmocka_unit_test(a_static_server_is_served_by_copying),
		cmocka_unit_test(a_static_server_that_speaks_first_need_not_wait),
		cmocka_unit_test(a_late_claim_is_still_good_while_nobody_spoke),
		cmocka_unit_test(a_listener_that_waits_for_data_is_woken),
		cmocka_unit_test(a_static_one_that_waits_for_data_gets_each_byte_once),
		cmocka_unit_test(a_full_backlog_is_waited_for),
		cmocka_unit_test(a_peer_that_cannot_be_handed_over_is_hung_up_on),
	};

	return cmocka_run_group_tests_name("resolver doorbell", tests, side_setup, side_teardown);
}
