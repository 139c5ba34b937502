/* SPDX-License-Identifier: MIT */
/*
 * test_rendezvous_redis_live.c - two real rendezvous servers and a real Redis: one population
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
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/unit/rdv_client.h"

#define OFFLINE	PUNCH__FAIL_REASON__FAIL_OFFLINE

static struct program redis;
static char redis_folder[64];
static uint16_t redis_port;
static struct rdv one, two;
static char two_lines[128];	/* of its configuration */
static struct node alice, bob;

static bool redis_answers(void *arg)
{
	char text[8] = "";
	int fd = live_connect("127.0.0.1", redis_port);
	bool ok;

	(void)arg;
	if (fd < 0)
		return false;
	ok = send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && recv(fd, text, 7, MSG_WAITALL) == 7 &&
	     !strncmp(text, "+PONG", 5);
	close(fd);
	return ok;
}

static void redis_start(void)
{
	char name[] = "redis-server", opt_port[] = "--port", port[8], opt_save[] = "--save", no[] = "";
	char opt_bind[] = "--bind", address[] = "127.0.0.1", opt_dir[] = "--dir";
	char *argv[] = { name, opt_port, port, opt_bind, address, opt_save, no, opt_dir, redis_folder, NULL };

	snprintf(port, sizeof(port), "%u", redis_port);
	assert_true(live_start(&redis, NULL, argv, redis_folder, "eady to accept", 0));
	assert_true(live_until(redis_answers, NULL));
}

/* A command, and how its answer begins */
static void redis_says(const char *command, const char *answer)
{
	int fd = live_connect("127.0.0.1", redis_port);
	char line[128], text[128] = "";

	assert_true(fd >= 0);
	snprintf(line, sizeof(line), "%s\r\n", command);
	assert_int_equal(send(fd, line, strlen(line), MSG_NOSIGNAL), strlen(line));
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	assert_memory_equal(text, answer, strlen(answer));
}

static bool store_is_up(void *arg)
{
	return rdv_metric(arg, "store_up") == 1;
}

static bool store_is_down(void *arg)
{
	return rdv_metric(arg, "store_up") == 0;
}

/*
 * Presence travels through Redis without an acknowledgement to the node, so the first call may be too early.
 * Return: true when a call was answered
 */
static bool calls_through(void *arg)
{
	static uint8_t session = 100;
	struct node *callee = arg;
	struct pollfd pfds[2] = { { callee->fd, POLLIN, 0 }, { alice.fd, POLLIN, 0 } };

	session++;
	if (!rdv_invite(&alice, session, callee, "invitation"))
		return false;
	/* the callee hears of the call, or the caller of its failure */
	if (poll(pfds, 2, 5000) > 0 && pfds[0].revents)
		return rdv_finish(&alice, callee, session);
	rdv_failed(&alice, session);
	return false;
}

static void test_invitation_crosses_servers(void **state)
{
	Punch__Message *message;
	struct ticket ticket;
	uint8_t secret[RELAY_SECRET_SIZE];
	char why[256];

	(void)state;
	assert_true(rdv_online(&one, &alice, false));
	assert_true(rdv_online(&two, &bob, true));
	assert_true(live_until(calls_through, &bob));
	/* once more, looking closely */
	assert_true(rdv_invite(&alice, 7, &bob, "invitation"));
	message = rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED);
	assert_non_null(message);
	assert_memory_equal(message->invited->from.data, alice.key.public, KEY_SIZE);
	assert_memory_equal(message->invited->payload->body.data, "invitation", 10);
	assert_int_equal(message->invited->n_relays, 1);
	assert_string_equal(message->invited->relays[0]->address, "relay.example.org");
	assert_int_equal(ticket_secret_load(secret, live_path(one.folder, "relay.secret"), 0, why,
					    sizeof(why)), 0);
	assert_int_equal(ticket_open(&ticket, secret, message->invited->relays[0]->ticket.data,
				     message->invited->relays[0]->ticket.len, 0), 0);
	assert_int_equal(ticket.side, TICKET_CALLEE);
	assert_in_range(message->invited->caller_rtt_us, 1, SECOND);
	punch__message__free_unpacked(message, NULL);
	assert_true(rdv_reply(&bob, 7, "answer"));
	message = rdv_expect(&alice, PUNCH__MESSAGE__KIND_ANSWERED);
	assert_non_null(message);
	assert_memory_equal(message->answered->payload->body.data, "answer", 6);
	assert_in_range(message->answered->callee_rtt_us, 1, SECOND);
	punch__message__free_unpacked(message, NULL);
	message = rdv_expect(&bob, PUNCH__MESSAGE__KIND_GO);
	assert_non_null(message);
	/* bob hears at once, alice through Redis: bob waits */
	assert_in_range(message->go->start_in_us, 1, SECOND);
	punch__message__free_unpacked(message, NULL);
	message = rdv_expect(&alice, PUNCH__MESSAGE__KIND_GO);
	assert_non_null(message);
	punch__message__free_unpacked(message, NULL);
}

/* Their ends in /proc/net/tcp: connections from the servers to Redis that have, and that lack, a timer of keepalive */
static void count_keepalive(unsigned int count[2])
{
	FILE *in = fopen("/proc/net/tcp", "re");
	unsigned int port, state, timer;
	char line[256];

	assert_non_null(in);
	count[0] = count[1] = 0;
	while (fgets(line, sizeof(line), in))
		if (sscanf(line, " %*u: %*x:%*x %*x:%x %x %*x:%*x %x:", &port, &state, &timer) == 3 &&
		    port == redis_port && state == 1)
			count[timer == 2]++;
	fclose(in);
}

static bool all_have_keepalive(void *arg)
{
	unsigned int count[2];

	(void)arg;
	count_keepalive(count);
	return count[0] == 0 && count[1] == 4;
}

/* Of a subscription nothing is asked, so that only the kernel can tell that its other end has gone */
static void test_a_dead_connection_is_noticed(void **state)
{
	(void)state;
	assert_true(live_until(all_have_keepalive, NULL));
}

static void test_unknown_and_silent_sound_the_same(void **state)
{
	struct node nobody = { .fd = -1 };

	(void)state;
	assert_int_equal(key_generate(&nobody.key), 0);
	assert_true(rdv_invite(&alice, 8, &nobody, "invitation"));
	assert_int_equal(rdv_failed(&alice, 8) % RETRY, OFFLINE);
	assert_true(rdv_invite(&alice, 9, &bob, "invitation"));
	punch__message__free_unpacked(rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED), NULL);
	assert_true(rdv_reply(&bob, 9, ""));
	assert_int_equal(rdv_failed(&alice, 9) % RETRY, OFFLINE);
	node_free(&nobody);
}

static bool unknown_is_final(void *arg)
{
	struct node *nobody = arg;

	poll(NULL, 0, 100);	/* below RDV_INVITE_RATE */
	return rdv_invite(&alice, 40, nobody, "invitation") && rdv_failed(&alice, 40) == OFFLINE;
}

/* Redis has lost all, and the other server has not said again yet what it has */
static void test_an_empty_redis_does_not_make_nodes_unknown(void **state)
{
	struct node nobody = { .fd = -1 };

	(void)state;
	assert_int_equal(key_generate(&nobody.key), 0);
	assert_true(live_until(unknown_is_final, &nobody));
	kill(two.program.pid, SIGSTOP);
	live_stop(&redis);
	assert_true(live_until(store_is_down, &one));
	redis_start();
	assert_true(live_until(store_is_up, &one));
	assert_true(rdv_invite(&alice, 41, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 41), OFFLINE + RETRY);
	kill(two.program.pid, SIGCONT);
	assert_true(live_until(store_is_up, &two));
	assert_true(live_until(calls_through, &bob));
	node_free(&nobody);
}

static void test_newer_connection_on_another_server_replaces(void **state)
{
	struct node moved = { .key = bob.key };

	(void)state;
	assert_true(rdv_online(&one, &moved, true));
	assert_int_equal(rdv_failed(&bob, 0), PUNCH__FAIL_REASON__FAIL_REPLACED);
	assert_true(rdv_closed(&bob));
	node_close(&bob);
	/* and back */
	assert_true(rdv_online(&two, &bob, true));
	assert_int_equal(rdv_failed(&moved, 0), PUNCH__FAIL_REASON__FAIL_REPLACED);
	node_close(&moved);
	assert_true(live_until(calls_through, &bob));
}

/* The older connection stays, half dead, and its server says so; the newer one's word does not arrive */
static void test_an_announcement_that_is_lost_is_repeated(void **state)
{
	struct node moved = { .key = bob.key };

	(void)state;
	redis_says("CLIENT PAUSE 60000 WRITE", "+OK");
	assert_true(rdv_online(&one, &moved, true));
	redis_says("CLIENT KILL TYPE normal", ":");
	redis_says("CLIENT UNPAUSE", "+OK");
	assert_int_equal(rdv_failed(&bob, 0), PUNCH__FAIL_REASON__FAIL_REPLACED);
	assert_true(rdv_ping(&moved));
	node_close(&bob);
	/* and back */
	assert_true(live_until(store_is_up, &one));
	assert_true(live_until(store_is_up, &two));
	assert_true(rdv_online(&two, &bob, true));
	assert_int_equal(rdv_failed(&moved, 0), PUNCH__FAIL_REASON__FAIL_REPLACED);
	node_close(&moved);
	assert_true(live_until(calls_through, &bob));
}

static void test_without_redis_a_server_serves_its_own(void **state)
{
	struct node local = { .fd = -1 };

	(void)state;
	live_stop(&redis);
	assert_true(live_until(store_is_down, &one));
	assert_true(live_until(store_is_down, &two));
	assert_true(rdv_online(&one, &local, true));
	assert_true(rdv_introduce(&alice, &local, 20));
	assert_true(rdv_invite(&alice, 21, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 21), OFFLINE + RETRY);
	/* an empty Redis comes back: who stayed connected is found again without doing anything */
	redis_start();
	assert_true(live_until(store_is_up, &one));
	assert_true(live_until(store_is_up, &two));
	assert_true(live_until(calls_through, &bob));
	assert_true(live_log_has(one.folder, "nodes of this server still reach each other"));
	node_free(&local);
}

static void test_server_that_was_killed(void **state)
{
	(void)state;
	kill(two.program.pid, SIGKILL);
	waitpid(two.program.pid, NULL, 0);
	/* its entry is still there, but nobody listens on its channel */
	assert_true(rdv_invite(&alice, 30, &bob, "invitation"));
	assert_int_equal(rdv_failed(&alice, 30), OFFLINE + RETRY);
	node_close(&bob);
	rdv_start(&two, two_lines, 0);
	assert_true(live_until(store_is_up, &two));
	assert_true(rdv_online(&two, &bob, true));
	assert_true(live_until(calls_through, &bob));
}

static bool said_no_memory(void *folder)
{
	return live_log_has(folder, "warning: store: redis refuses: OOM");
}

static bool said_no_ping(void *folder)
{
	return live_log_has(folder, "nodes of this server still reach each other") &&
	       live_log_has(folder, "NOPERM");
}

static void test_what_redis_refuses_is_said(void **state)
{
	struct node local = { .fd = -1 };

	(void)state;
	redis_says("CONFIG SET maxmemory 1", "+OK");
	assert_true(rdv_online(&one, &local, true));
	assert_true(live_until(said_no_memory, one.folder));
	redis_says("CONFIG SET maxmemory 0", "+OK");
	assert_int_equal(rdv_metric(&one, "store_up"), 1);
	/* as where its disk is full */
	redis_says("ACL SETUSER default -ping", "+OK");
	assert_true(live_until(said_no_ping, one.folder));
	redis_says("ACL SETUSER default +ping", "+OK");
	assert_true(live_until(store_is_up, &one));
	assert_true(live_until(store_is_up, &two));
	assert_true(live_until(calls_through, &bob));
	node_free(&local);
}

/* What others may write into the database or on the channel is no message */
static void test_rubbish_on_the_channels(void **state)
{
	char *argv[] = { (char[]){ "redis-cli" }, (char[]){ "-p" }, NULL, (char[]){ "eval" },
			 (char[]){ "for _,c in ipairs(redis.call('pubsub','channels','punch:server:*')) do "
				   "redis.call('publish',c,'rubbish') redis.call('publish',c,'') end "
				   "return 'published'" }, (char[]){ "0" }, NULL };
	struct program cli;
	char port[8];

	(void)state;
	snprintf(port, sizeof(port), "%u", redis_port);
	argv[2] = port;
	assert_true(live_start(&cli, NULL, argv, redis_folder, "published", 0));
	live_stop(&cli);
	assert_true(live_until(calls_through, &bob));
	assert_true(live_log_has(one.folder, "no Forward"));
}

static int setup(void **state)
{
	char lines[256];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(170);
	redis_port = live_port();
	live_folder(redis_folder);
	redis_start();
	live_folder(one.folder);
	live_write(one.folder, "relay.secret", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n");
	snprintf(lines, sizeof(lines), "store = redis://127.0.0.1:%u/3\nrelay = relay.example.org:4433\n",
		 redis_port);
	rdv_start(&one, lines, 0);
	snprintf(two_lines, sizeof(two_lines), "store = redis://localhost:%u/3\n", redis_port);
	rdv_start(&two, two_lines, 0);
	return live_until(store_is_up, &one) && live_until(store_is_up, &two) ? 0 : -1;
}

static int teardown(void **state)
{
	int status = rdv_stop(&one) | rdv_stop(&two);

	(void)state;
	live_stop(&redis);
	node_free(&alice);
	node_free(&bob);
	live_folder_remove(one.folder);
	live_folder_remove(two.folder);
	live_folder_remove(redis_folder);
	return status;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_invitation_crosses_servers),
		cmocka_unit_test(test_a_dead_connection_is_noticed),
		cmocka_unit_test(test_unknown_and_silent_sound_the_same),
		cmocka_unit_test(test_an_empty_redis_does_not_make_nodes_unknown),
		cmocka_unit_test(test_newer_connection_on_another_server_replaces),
		cmocka_unit_test(test_an_announcement_that_is_lost_is_repeated),
		cmocka_unit_test(test_without_redis_a_server_serves_its_own),
		cmocka_unit_test(test_server_that_was_killed),
		cmocka_unit_test(test_what_redis_refuses_is_said),
		cmocka_unit_test(test_rubbish_on_the_channels),
	};

	return cmocka_run_group_tests_name("rendezvous_redis_live", tests, setup, teardown);
}
