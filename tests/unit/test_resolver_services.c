/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_services.c - which listening sockets are published, and for how long
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/side_scratch.h"
#include "common/standin.h"

/* What socket(AF_NETLINK) fails with from now on, 0: it does not.  Shared with the resolver's process */
static volatile int *netlink_error;

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);

int __wrap_socket(int family, int type, int protocol)
{
	if (family != AF_NETLINK || !netlink_error || !*netlink_error)
		return __real_socket(family, type, protocol);
	errno = *netlink_error;
	return -1;
}

static int begin(void **state)
{
	netlink_error = mmap(NULL, sizeof(*netlink_error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return netlink_error == MAP_FAILED ? -1 : side_setup(state);
}

static void a_listener_on_a_service_port_is_published(void **state)
{
	int fd = side_listen("0.0.0.0", SIDE_SERVICE);
	struct local_reply reply;

	(void)state;
	assert_true(side_status_has("hellos=0"));
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	assert_true(side_status_has("\"listener\":\"0.0.0.0:8080\""));
	assert_true(side_status_has("hellos=1"));	/* the rendezvous is told that we take calls now */
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	assert_true(side_status_has("hellos=1"));	/* told once */
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	close(fd);
}

static void a_listener_that_closed_is_withdrawn(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_OPEN);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	close(fd);
	assert_int_equal(side_call("bob", SIDE_OPEN), ECONNREFUSED);
	assert_true(side_status_lacks("\"listener\":\"127.0.0.1:8081\""));
}

static void without_any_call_it_is_withdrawn_too(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_OPEN);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	close(fd);
	assert_true(side_status_has("\"services\":[\n  ]"));	/* within SERVICES_CHECK */
}

static void ports_without_a_service_are_not_ours(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_PRIVATE);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_NOT_OURS);
	assert_true(side_status_lacks("\"listener\":\"127.0.0.1:8082\""));
	close(fd);
}

static void a_listener_elsewhere_may_serve_a_service_port(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_PRIVATE);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, SIDE_OPEN, &reply), LOCAL_OK);
	assert_true(side_status_has("\"port\":8081,\n      \"listener\":\"127.0.0.1:8082\""));
	assert_int_equal(side_call("bob", SIDE_OPEN), 0);
	close(fd);
}

static void a_socket_that_does_not_listen_is_refused(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_OPEN), idle = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(SIDE_SERVICE) };
	struct local_reply reply;

	(void)state;
	assert_int_equal(bind(idle, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(side_publish(idle, 0, &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EINVAL);
	close(idle);
	close(fd);
}

static void only_allowed_peers_are_let_in(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_SERVICE);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	assert_int_equal(side_call("carol", SIDE_SERVICE), ECONNREFUSED);
	close(fd);
}

/* Same address and port, but not the socket that was registered */
static void a_newcomer_on_the_port_gets_no_peer(void **state)
{
	int fd = side_listen("127.0.0.1", SIDE_OPEN), accepted;
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	close(fd);
	fd = side_listen("127.0.0.1", SIDE_OPEN);
	assert_int_equal(side_call("bob", SIDE_OPEN), 0);	/* the double's plain connection, as nothing is published */
	accepted = accept(fd, (struct sockaddr *)&ss, &size);
	assert_true(accepted >= 0);
	assert_false(doorbell_is_sockaddr((struct sockaddr *)&ss, size));
	assert_true(side_status_lacks("\"port\":8081,\n      \"listener\""));
	close(accepted);
	close(fd);
}

static void a_resolver_that_was_killed_publishes_again(void **state)
{
	int fd = side_listen("::", SIDE_SERVICE);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	side_again();
	assert_true(side_status_has("\"listener\":\"[::]:8080\""));
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	close(fd);
	side_again();
	assert_true(side_status_lacks("8080"));		/* what is gone is not taken back */
}

static void a_damaged_memory_is_ignored(void **state)
{
	char command[SCRATCH_PATH + 64];
	int fd = side_listen("127.0.0.1", SIDE_SERVICE);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	snprintf(command, sizeof(command), "for f in %s/punch/*.state; do echo rubbish >$f; done", scratch);
	assert_int_equal(system(command), 0);
	side_again();
	assert_true(side_status_lacks("8080"));
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	side_again();
	assert_true(side_status_has("127.0.0.1:8080"));
	close(fd);
}

/* A unit with RestrictAddressFamilies= of its own, another sandbox, no more memory */
static void a_kernel_that_cannot_be_asked_is_told_apart(void **state)
{
	static const struct {
		int error;
		const char *text;
	} cases[] = {
		{ EAFNOSUPPORT, "AF_NETLINK is forbidden here: add it to RestrictAddressFamilies= of its unit" },
		{ EACCES, "AF_NETLINK is forbidden here" },
		{ EPERM, "AF_NETLINK is forbidden here" },
		{ ENOBUFS, "No buffer space available" },
	};
	int fd = side_listen("127.0.0.1", SIDE_OPEN);
	struct local_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		*netlink_error = cases[i].error;
		assert_int_equal(side_publish(fd, 0, &reply), LOCAL_FAILED);
		*netlink_error = 0;
		assert_int_equal(reply.error, cases[i].error);
		assert_non_null(strstr(reply.text, cases[i].text));
	}
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	close(fd);
}

/* Cookies begin anew with each boot: one of before may be anybody's now */
static void the_memory_of_another_boot_is_ignored(void **state)
{
	char command[SCRATCH_PATH + 128];
	int fd = side_listen("127.0.0.1", SIDE_OPEN);
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	snprintf(command, sizeof(command), "LC_ALL=C sed -i \"s/$(cat /proc/sys/kernel/random/boot_id)/a-boot-of-before-has-an-id-of-its-own/\" "
		 "%s/punch/*.state", scratch);
	assert_int_equal(system(command), 0);
	side_again();
	assert_true(side_status_lacks("8081"));
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_OK);
	side_again();
	assert_true(side_status_has("127.0.0.1:8081"));
	close(fd);
}

static void a_socket_of_another_network_is_refused(void **state)
{
	struct local_reply reply;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = side_listen("0.0.0.0", SIDE_SERVICE);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(side_publish(fd, 0, &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EXDEV);
	close(fd);
	close(home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_on_a_service_port_is_published),
		cmocka_unit_test(a_listener_that_closed_is_withdrawn),
		cmocka_unit_test(without_any_call_it_is_withdrawn_too),
		cmocka_unit_test(ports_without_a_service_are_not_ours),
		cmocka_unit_test(a_listener_elsewhere_may_serve_a_service_port),
		cmocka_unit_test(a_socket_that_does_not_listen_is_refused),
		cmocka_unit_test(only_allowed_peers_are_let_in),
		cmocka_unit_test(a_newcomer_on_the_port_gets_no_peer),
		cmocka_unit_test(a_resolver_that_was_killed_publishes_again),
		cmocka_unit_test(a_damaged_memory_is_ignored),
		cmocka_unit_test(a_kernel_that_cannot_be_asked_is_told_apart),
		cmocka_unit_test(the_memory_of_another_boot_is_ignored),
		cmocka_unit_test(a_socket_of_another_network_is_refused),
	};

	return cmocka_run_group_tests_name("resolver services", tests, begin, side_teardown);
}
