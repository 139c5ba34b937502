/* SPDX-License-Identifier: MIT */
/*
 * test_rendezvous_setup_live.c - the real punch-rendezvous as it is set up: embedded relay, allow list, --check
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/rdv_client.h"

/* An address of its own, because the embedded relay's port is always 4433 */
static void own_address(struct rdv *rdv)
{
	snprintf(rdv->address, sizeof(rdv->address), "127.77.%u.%u", (unsigned int)getpid() % 250 + 1,
		 (unsigned int)getpid() / 250 % 250 + 1);
}

/* The one child of a process, 0 when it has none */
static pid_t child_of(pid_t parent)
{
	char path[64], text[256];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return atoi(text);
}

static bool relay_listens(void *arg)
{
	const struct rdv *rdv = arg;
	int fd = live_connect(rdv->address, PORT_RELAY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Known to the rendezvous, that is: from then on it is offered */
static bool relay_is_up(void *arg)
{
	return rdv_metric(arg, "relay_up") == 1;
}

static bool relay_is_gone(void *arg)
{
	return !relay_listens(arg);
}

/* First offer of a message: connect there. Return: socket */
static int take_offer(const struct rdv *rdv, Punch__RelayOffer **offers, size_t count)
{
	Punch__RelayHello hello = PUNCH__RELAY_HELLO__INIT;
	int fd;

	assert_int_equal(count, 1);
	assert_string_equal(offers[0]->address, "");	/* where we reached the server */
	fd = live_connect(rdv->address, (uint16_t)offers[0]->port);
	assert_true(fd >= 0);
	hello.ticket = offers[0]->ticket;
	assert_true(live_send(fd, &hello.base));
	return fd;
}

static void assert_joined(int fd)
{
	Punch__RelayReply *reply = (Punch__RelayReply *)live_recv(fd, &punch__relay_reply__descriptor);

	assert_non_null(reply);
	assert_int_equal(reply->status, PUNCH__RELAY_STATUS__RELAY_JOINED);
	protobuf_c_message_free_unpacked(&reply->base, NULL);
}

/* What a whole fallback needs of the servers: introduction, tickets, relay */
static void relay_between(const struct rdv *rdv, struct node *alice, struct node *bob, uint8_t session)
{
	Punch__Message *invited, *answered;
	char text[16] = "";
	int a, b;

	assert_true(rdv_invite(alice, session, bob, "invitation"));
	invited = rdv_expect(bob, PUNCH__MESSAGE__KIND_INVITED);
	assert_non_null(invited);
	b = take_offer(rdv, invited->invited->relays, invited->invited->n_relays);
	assert_true(rdv_reply(bob, session, "answer"));
	answered = rdv_expect(alice, PUNCH__MESSAGE__KIND_ANSWERED);
	assert_non_null(answered);
	a = take_offer(rdv, answered->answered->relays, answered->answered->n_relays);
	assert_joined(a);
	assert_joined(b);
	assert_int_equal(send(a, "through", 7, MSG_NOSIGNAL), 7);
	assert_int_equal(recv(b, text, 7, MSG_WAITALL), 7);
	assert_string_equal(text, "through");
	close(a);
	close(b);
	punch__message__free_unpacked(invited, NULL);
	punch__message__free_unpacked(answered, NULL);
	punch__message__free_unpacked(rdv_expect(alice, PUNCH__MESSAGE__KIND_GO), NULL);
	punch__message__free_unpacked(rdv_expect(bob, PUNCH__MESSAGE__KIND_GO), NULL);
}

static bool has_another_child(void *arg)
{
	const pid_t *parent_child = arg;
	pid_t child = child_of(parent_child[0]);

	return child && child != parent_child[1];
}

/* The relay is in the sandbox of its rendezvous, and in a narrower one of its own */
static void assert_confined(pid_t parent, pid_t child)
{
	assert_true(live_is_confined(parent));
	assert_true(live_is_confined(child));
	if (live_filters(parent) >= 0)
		assert_true(live_filters(child) > live_filters(parent));
}

static void test_embedded_relay(void **state)
{
	struct node alice = { .fd = -1 }, bob = { .fd = -1 };
	struct rdv rdv = { .port = 0 };
	pid_t parent_child[2];

	(void)state;
	own_address(&rdv);
	rdv_start(&rdv, "relay = embedded\n", 0);
	assert_true(live_until(relay_is_up, &rdv));
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	relay_between(&rdv, &alice, &bob, 1);
	/* killed, it comes back by itself */
	parent_child[0] = rdv.program.pid;
	parent_child[1] = child_of(rdv.program.pid);
	assert_true(parent_child[1] > 0);
	kill(parent_child[1], SIGKILL);
	assert_true(live_until(has_another_child, parent_child));
	assert_true(live_until(relay_is_up, &rdv));
	assert_confined(rdv.program.pid, child_of(rdv.program.pid));
	assert_int_equal(rdv_metric(&rdv, "relay_starts_total"), 2);
	relay_between(&rdv, &alice, &bob, 2);
	/* the rendezvous killed, it does not stay behind */
	kill(rdv.program.pid, SIGKILL);
	assert_true(live_until(relay_is_gone, &rdv));
	rdv_stop(&rdv);
	/* nor when it leaves in order */
	rdv_start(&rdv, "relay = embedded\n", 0);
	assert_true(live_until(relay_is_up, &rdv));
	assert_int_equal(rdv_stop(&rdv), 0);
	assert_true(relay_is_gone(&rdv));
	node_free(&alice);
	node_free(&bob);
	live_folder_remove(rdv.folder);
}

static bool said_port_taken(void *arg)
{
	const struct rdv *rdv = arg;

	return live_log_has(rdv->folder, "cannot listen on") &&
	       live_log_has(rdv->folder, "starting it again");
}

/* No relay, no offers: nodes still get to know each other */
static void test_relay_that_cannot_listen_is_not_offered(void **state)
{
	struct node alice = { .fd = -1 }, bob = { .fd = -1 };
	struct rdv rdv = { .port = 0 }, first = { .port = 0 };
	Punch__Message *invited;

	(void)state;
	own_address(&first);
	rdv_start(&first, "relay = embedded\n", 0);
	assert_true(live_until(relay_is_up, &first));
	strcpy(rdv.address, first.address);
	rdv_start(&rdv, "relay = embedded\n", 0);
	assert_true(live_until(said_port_taken, &rdv));
	assert_true(rdv_online(&rdv, &alice, false));
	assert_true(rdv_online(&rdv, &bob, true));
	assert_true(rdv_invite(&alice, 1, &bob, "invitation"));
	invited = rdv_expect(&bob, PUNCH__MESSAGE__KIND_INVITED);
	assert_non_null(invited);
	assert_int_equal(invited->invited->n_relays, 0);
	punch__message__free_unpacked(invited, NULL);
	node_free(&alice);
	node_free(&bob);
	assert_int_equal(rdv_stop(&rdv), 0);
	assert_int_equal(rdv_stop(&first), 0);
	live_folder_remove(rdv.folder);
	live_folder_remove(first.folder);
}

static bool will_read_again(void *folder)
{
	return live_log_has(folder, "the old list stays, until this one can be read");
}

static void write_allowed(const struct rdv *rdv, const struct node *node)
{
	char line[128], text[KEY_TEXT_SIZE];

	snprintf(line, sizeof(line), "# friends\n%s alice\n", key_text(node->key.public, text));
	live_write(rdv->folder, "friends", line);
}

static void test_allow_list(void **state)
{
	struct node alice = { .fd = -1 }, bob = { .fd = -1 };
	struct rdv rdv = { .port = 0 };

	(void)state;
	assert_int_equal(key_generate(&alice.key), 0);
	assert_int_equal(key_generate(&bob.key), 0);
	live_folder(rdv.folder);
	write_allowed(&rdv, &alice);
	rdv_start(&rdv, "allow = friends\n", 0);
	assert_true(rdv_online(&rdv, &alice, true));
	assert_null(node_hello(&bob, rdv.address, rdv.port, true));
	assert_true(rdv_closed(&bob));
	node_close(&bob);
	/* read again: alice must go, bob may come */
	write_allowed(&rdv, &bob);
	kill(rdv.program.pid, SIGHUP);
	assert_int_equal(rdv_failed(&alice, 0), PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED);
	assert_true(rdv_closed(&alice));
	assert_true(rdv_online(&rdv, &bob, true));
	/* a broken file changes nothing */
	live_write(rdv.folder, "friends", "nonsense\n");
	kill(rdv.program.pid, SIGHUP);
	assert_true(rdv_ping(&bob));
	node_free(&alice);
	node_free(&bob);
	assert_int_equal(rdv_stop(&rdv), 0);
	assert_true(live_log_has(rdv.folder, "friends:1: nonsense"));
	live_folder_remove(rdv.folder);
}

/* The file is a link to another folder, and for a moment it is not there at all: who is revoked goes */
static void test_allow_list_that_is_a_link(void **state)
{
	struct node alice = { .fd = -1 };
	struct rdv rdv = { .port = 0 };
	char real[64], text[KEY_TEXT_SIZE], target[128];

	(void)state;
	assert_int_equal(key_generate(&alice.key), 0);
	live_folder(rdv.folder);
	live_folder(real);
	live_write(real, "list", key_text(alice.key.public, text));
	snprintf(target, sizeof(target), "%s/list", real);
	assert_int_equal(symlink(target, live_path(rdv.folder, "friends")), 0);
	rdv_start(&rdv, "allow = friends\n", 0);
	assert_true(rdv_online(&rdv, &alice, true));
	kill(rdv.program.pid, SIGHUP);
	assert_true(rdv_ping(&alice));
	assert_int_equal(unlink(target), 0);
	kill(rdv.program.pid, SIGHUP);
	assert_true(live_until(will_read_again, rdv.folder));
	assert_true(rdv_ping(&alice));
	live_write(real, "list", "# nobody\n");
	assert_int_equal(rdv_failed(&alice, 0), PUNCH__FAIL_REASON__FAIL_NOT_ALLOWED);
	node_free(&alice);
	assert_int_equal(rdv_stop(&rdv), 0);
	live_folder_remove(rdv.folder);
	live_folder_remove(real);
}

/* Root reads every file, until it has given that up: better no server than one that cannot revoke */
static void test_allow_list_that_cannot_be_read_again(void **state)
{
	char name[] = "punch-rendezvous", dash_c[] = "-c", path[128], folder[64], lines[512];
	char *argv[] = { name, dash_c, path, NULL };
	struct program program;

	(void)state;
	if (geteuid() != 0)
		skip();
	live_folder(folder);
	live_write(folder, "friends", "# nobody\n");
	snprintf(lines, sizeof(lines), "[rendezvous]\nlisten = 127.0.0.1:%u\nprobe = 127.0.0.1:%u 127.0.0.1:%u\nrelay = none\nallow = friends\n",
		 live_port(), live_port(), live_port());
	live_write(folder, "rendezvous.conf", lines);
	if (chown(live_path(folder, "friends"), 1, 1))
		skip();
	snprintf(path, sizeof(path), "%s/rendezvous.conf", folder);
	assert_false(live_start(&program, name, argv, folder, "listening:", 0));
	assert_int_equal(live_stop(&program), 1);
	assert_true(live_log_has(folder, "SIGHUP would revoke nobody"));
	live_folder_remove(folder);
}

static int check(const char *folder, const char *text)
{
	char name[] = "punch-rendezvous", option[] = "--check", dash_c[] = "-c", path[128];
	char *argv[] = { name, option, dash_c, path, NULL };
	struct program program;

	live_write(folder, "rendezvous.conf", text);
	snprintf(path, sizeof(path), "%s/rendezvous.conf", folder);
	live_start(&program, name, argv, folder, "never said", 0);
	return live_stop(&program);
}

static void test_check_names_file_and_line(void **state)
{
	struct stat st;
	char folder[64];

	(void)state;
	live_folder(folder);
	assert_int_equal(check(folder, "[rendezvous]\n\nprobe = 0.0.0.0:1 there\n"), 1);
	assert_true(live_log_has(folder, "rendezvous.conf:3"));
	assert_int_equal(check(folder, "[rendezvous]\nallow = friends\n"), 1);
	assert_true(live_log_has(folder, "friends"));
	assert_int_equal(check(folder, "[rendezvous]\nlisten = 127.0.0.1:9\n"), 0);
	/* it only looked */
	assert_int_equal(stat(live_path(folder, "rendezvous.key"), &st), -1);
	live_folder_remove(folder);
}

/* The first file of a server that had none before: another folder, another key, other nodes' pins */
static void test_new_key_in_place_of_an_old_one_is_said(void **state)
{
	uint16_t port = live_port();
	char name[] = "punch-rendezvous", dash_c[] = "-c", path[256], text[128], expected[512];
	char *argv[] = { name, dash_c, path, NULL }, folder[64], files[64];
	struct program program;

	(void)state;
	live_folder(folder);
	live_folder(files);
	snprintf(text, sizeof(text), "[rendezvous]\nlisten = 127.0.0.1:%u\nrelay = none\n", port);
	live_write(files, "r.conf", text);
	snprintf(path, sizeof(path), "%s", live_path(files, "r.conf"));
	assert_true(live_start(&program, "punch-rendezvous", argv, folder, "listening:", 0));
	assert_non_null(strstr(program.said, "made a new key: "));
	assert_non_null(strstr(program.said, live_path(files, "rendezvous.key")));
	assert_int_equal(live_stop(&program), 0);
	assert_false(live_log_has(folder, "warning"));

	assert_int_equal(rename(live_path(files, "rendezvous.key"), live_path(folder, "rendezvous.key")), 0);
	assert_true(live_start(&program, "punch-rendezvous", argv, folder, "listening:", 0));
	assert_int_equal(live_stop(&program), 0);
	snprintf(expected, sizeof(expected), "will refuse it; to keep that one, write key = %s",
		 live_path(folder, "rendezvous.key"));
	assert_true(live_log_has(folder, expected));
	live_folder_remove(files);
	live_folder_remove(folder);
}

/* The other child of our parent, that is, 0 when there is none */
static pid_t sibling(void)
{
	char path[64];
	int pids[2] = { 0, 0 };
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getppid(), getppid());
	in = fopen(path, "re");
	if (!in || fscanf(in, "%d %d", &pids[0], &pids[1]) < 1)
		abort();
	fclose(in);
	return pids[0] == getpid() ? pids[1] : pids[0];
}

static bool writes_to_stderr(void *arg)
{
	char path[64], text[32] = "", wanted[32];
	pid_t *pid = arg;
	FILE *in;

	*pid = sibling();
	if (!*pid)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/syscall", *pid);
	snprintf(wanted, sizeof(wanted), "%d 0x2 ", SYS_write);
	in = fopen(path, "re");
	if (!in)
		return false;
	if (!fgets(text, sizeof(text), in))
		text[0] = '\0';
	fclose(in);
	return strncmp(text, wanted, strlen(wanted)) == 0;
}

/* In a child: when the server waits for its log, which is full, to take a line, send it SIGHUP, and make room */
static void hang_up_at_the_first_line(int log)
{
	char bytes[4096] = "";
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!live_until(writes_to_stderr, &pid) || kill(pid, SIGHUP))
		_exit(1);
	fcntl(log, F_SETFL, 0);
	while (read(log, bytes, sizeof(bytes)) > 0)
		;
	_exit(0);
}

/* Of a key that is new, which it tells before it can reload anything */
static void test_reload_while_it_starts_does_not_end_it(void **state)
{
	char name[] = "punch-rendezvous", dash_c[] = "-c", path[256], text[128];
	char *argv[] = { name, dash_c, path, NULL }, folder[64], files[64], bytes[4096] = "";
	struct program program;
	pid_t helper;
	int log;

	(void)state;
	if (geteuid() != 0)
		skip();		/* /proc/PID/syscall */
	live_folder(folder);
	live_folder(files);
	snprintf(text, sizeof(text), "[rendezvous]\nlisten = 127.0.0.1:%u\nrelay = none\n", live_port());
	live_write(files, "r.conf", text);
	snprintf(path, sizeof(path), "%s", live_path(files, "r.conf"));
	live_write(folder, "rendezvous.key", "old");
	assert_int_equal(mkfifo(live_path(folder, "log"), 0600), 0);
	log = open(live_path(folder, "log"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	while (write(log, bytes, sizeof(bytes)) > 0)
		;
	helper = fork();
	if (!helper)
		hang_up_at_the_first_line(log);
	live_start(&program, "punch-rendezvous", argv, folder, "listening:", 0);
	assert_int_equal(live_stop(&program), 0);
	assert_non_null(strstr(program.said, "listening:"));
	kill(helper, SIGKILL);
	waitpid(helper, NULL, 0);
	close(log);
	live_folder_remove(files);
	live_folder_remove(folder);
}

static void test_where_a_service_may_write_is_said(void **state)
{
	char name[] = "punch-rendezvous", dash_c[] = "-c", path[256], expected[256];
	char *argv[] = { name, dash_c, path, NULL }, folder[64];
	struct program program;

	(void)state;
	live_folder(folder);
	live_write(folder, "r.conf", "[rendezvous]\nkey = /proc/rendezvous.key\n");
	snprintf(path, sizeof(path), "%s", live_path(folder, "r.conf"));
	assert_false(live_start(&program, "punch-rendezvous", argv, folder, "listening:", 0));
	snprintf(expected, sizeof(expected), "this service may write to %s alone: set key = %s/rendezvous.key", folder, folder);
	assert_true(live_log_has(folder, expected));
	live_folder_remove(folder);
}

static void test_port_in_use_is_said(void **state)
{
	char name[] = "punch-rendezvous", dash_c[] = "-c", path[128], text[256];
	char *argv[] = { name, dash_c, path, NULL };
	struct rdv rdv = { .port = 0 };
	struct program second;

	(void)state;
	rdv_start(&rdv, "", 0);
	snprintf(path, sizeof(path), "%s/rendezvous.conf", rdv.folder);
	assert_false(live_start(&second, name, argv, rdv.folder, "listening:", 0));
	assert_int_equal(live_stop(&second), 1);
	snprintf(text, sizeof(text), "cannot listen on 127.0.0.1:%u: Address already in use", rdv.port);
	assert_true(live_log_has(rdv.folder, text));
	assert_int_equal(rdv_stop(&rdv), 0);
	live_folder_remove(rdv.folder);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	alarm(150);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_embedded_relay),
		cmocka_unit_test(test_relay_that_cannot_listen_is_not_offered),
		cmocka_unit_test(test_allow_list),
		cmocka_unit_test(test_allow_list_that_is_a_link),
		cmocka_unit_test(test_allow_list_that_cannot_be_read_again),
		cmocka_unit_test(test_check_names_file_and_line),
		cmocka_unit_test(test_new_key_in_place_of_an_old_one_is_said),
		cmocka_unit_test(test_reload_while_it_starts_does_not_end_it),
		cmocka_unit_test(test_where_a_service_may_write_is_said),
		cmocka_unit_test(test_port_in_use_is_said),
	};

	return cmocka_run_group_tests_name("rendezvous_setup_live", tests, setup, NULL);
}
