/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_parked.c - a program that connects without blocking is put to wait, woken, and given the real socket
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/side_scratch.h"
#include "common/clock.h"
#include "resolver/lot.h"
#include "resolver/splice.h"

#define PATIENCE 5000	/* ms; nothing that works takes longer */

static int server;	/* on SIDE_PRIVATE: where "bob" is reached */

/* Between the resolver's look at the program's socket and its own connect(): shared with its process */
static struct {
	volatile bool armed;
	int ends[2];		/* the test's, the resolver's */
	volatile bool full;	/* as with SPLICES_MAX pairs */
} *interlude;

int __real_lot_cross(const struct lot *lot, const struct endpoint *program);
int __wrap_lot_cross(const struct lot *lot, const struct endpoint *program);

int __wrap_lot_cross(const struct lot *lot, const struct endpoint *program)
{
	char byte = 0;

	if (interlude->armed && send(interlude->ends[1], &byte, 1, 0) == 1)
		recv(interlude->ends[1], &byte, 1, 0);
	return __real_lot_cross(lot, program);
}

int __real_splice_start(struct splices *splices, int a, int b);
int __wrap_splice_start(struct splices *splices, int a, int b);

int __wrap_splice_start(struct splices *splices, int a, int b)
{
	if (!interlude->full)
		return __real_splice_start(splices, a, b);
	close(a);
	close(b);
	return -EUSERS;
}

static int begin(void **state)
{
	interlude = mmap(NULL, sizeof(*interlude), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (interlude == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, interlude->ends))
		return -1;
	if (side_setup(state))
		return -1;
	server = side_listen("127.0.0.1", SIDE_PRIVATE);
	return listen(server, 256);
}

static int program_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return fd;
}

static int park(int fd, const char *peer, struct local_reply *reply)
{
	struct local_request request;

	side_request(&request, LOCAL_PARK);
	strcpy(request.peer, peer);
	request.target.port = SIDE_PRIVATE;
	side_ask(&request, fd, reply, NULL);
	return (int)reply->status;
}

static int parked(const char *peer)
{
	int fd = program_socket(AF_INET);
	struct local_reply reply;

	assert_int_equal(park(fd, peer, &reply), LOCAL_OK);
	assert_string_equal(reply.peer, peer);
	assert_true(reply.slot > 0);
	return fd;
}

static int claim(int fd, struct local_reply *reply)
{
	int real;

	side_simple(LOCAL_CLAIM_PARKED, "", fd, reply, &real);
	return real;
}

static int so_error(int fd)
{
	int error = -1;
	socklen_t size = sizeof(error);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
	return error;
}

static uint8_t tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
	return info.tcpi_state;
}

static int accept_one(void)
{
	int fd;

	assert_int_equal(side_poll(server, POLLIN, PATIENCE), POLLIN);
	fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void say(int from, int to, const char *text)
{
	char heard[64] = "";
	size_t size = strlen(text), got = 0;

	assert_int_equal(send(from, text, size, MSG_NOSIGNAL), (ssize_t)size);
	while (got < size) {
		ssize_t n;

		assert_true(side_poll(to, POLLIN, PATIENCE) & POLLIN);
		n = recv(to, heard + got, sizeof(heard) - 1 - got, 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_string_equal(heard, text);
}

/* ------------------------------------------------------------ waiting and waking */

static void the_socket_truly_connects_and_then_is_the_real_one(void **state)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLIN | EPOLLET };
	int fd = parked("slow"), epoll = epoll_create1(EPOLL_CLOEXEC), real, far;
	struct endpoint remote;
	struct local_reply reply;

	(void)state;
	assert_int_equal(tcp_state(fd), TCP_SYN_SENT);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(epoll_wait(epoll, &event, 1, 50), 0);
	assert_int_equal(so_error(fd), 0);
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.error, EINPROGRESS);
	assert_int_equal(epoll_wait(epoll, &event, 1, PATIENCE), 1);
	assert_int_equal(event.events, EPOLLOUT);
	assert_int_equal(so_error(fd), 0);
	real = claim(fd, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.path, LOCAL_PATH_DIRECT);
	assert_int_equal(reply.setup_us, 10000);
	endpoint_remote(real, &remote);
	assert_int_equal(remote.port, SIDE_PRIVATE);
	assert_true(endpoint_equal(&remote, &reply.remote));
	far = accept_one();
	say(real, far, "hello");
	assert_int_equal(side_poll(fd, POLLIN | POLLRDHUP, 100), 0);	/* whole until it is replaced */
	assert_int_equal(dup3(real, fd, O_CLOEXEC), fd);
	say(far, fd, "hello yourself");
	assert_true(side_status_has("\"direction\":\"out\""));
	close(real);
	close(fd);
	close(far);
	close(epoll);
}

static void sockets_of_all_families_can_wait(void **state)
{
	static const struct { int family; bool six_only; const char *source; } kinds[] = {
		{ AF_INET, false, NULL }, { AF_INET, false, "127.8.8.8" }, { AF_INET6, false, NULL },
		{ AF_INET6, false, "::1" }, { AF_INET6, true, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		int fd = program_socket(kinds[i].family), on = kinds[i].six_only, real, domain, far;
		struct sockaddr_storage ss;
		socklen_t size = sizeof(domain);
		struct local_reply reply;
		struct endpoint ep;

		if (kinds[i].family == AF_INET6)
			assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
		if (kinds[i].source) {
			endpoint_parse(&ep, kinds[i].source, 0);
			assert_int_equal(bind(fd, (struct sockaddr *)&ss, (socklen_t)endpoint_to_sockaddr(&ep,
					      kinds[i].family, &ss)), 0);
		}
		assert_int_equal(park(fd, "bob", &reply), LOCAL_OK);
		assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
		assert_int_equal(so_error(fd), 0);
		real = claim(fd, &reply);
		assert_int_equal(reply.status, LOCAL_OK);
		assert_int_equal(getsockopt(real, SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
		assert_int_equal(domain, kinds[i].family);
		far = accept_one();
		say(real, far, "hello");
		close(real);
		close(far);
		close(fd);
	}
}

static void many_wait_at_once(void **state)
{
	enum { SOCKETS = 200 };
	struct local_reply reply;
	int fds[SOCKETS], real, far;

	(void)state;
	for (int i = 0; i < SOCKETS; i++)
		fds[i] = parked("slow");
	for (int i = 0; i < SOCKETS; i++) {
		assert_int_equal(side_poll(fds[i], POLLOUT, PATIENCE), POLLOUT);
		real = claim(fds[i], &reply);
		assert_int_equal(reply.status, LOCAL_OK);
		far = accept_one();
		close(real);
		close(far);
		close(fds[i]);
	}
	assert_true(side_status_lacks("\"open\":true"));
}

/* ------------------------------------------------------------ failure */

static void a_failure_wakes_at_once_and_gives_its_reason_once(void **state)
{
	int fd = parked("refuser");
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_poll(fd, POLLIN, PATIENCE) & (POLLERR | POLLHUP), POLLERR | POLLHUP);
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(reply.error, ECONNREFUSED);
	assert_string_equal(reply.text, "refuser has no service on port 8082");
	assert_int_equal(so_error(fd), 0);	/* what the kernel says of the parked one does not come second */
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(fd);
}

/* The file has changed meanwhile: whoever is to be asked for the reason does not leave before */
/* The file changes while somebody connects. Return: that connection, for which the resolver stays */
static int changed_while_dialling(void)
{
	struct local_request request;
	int pending = side_connect();
	FILE *out;

	side_request(&request, LOCAL_DIAL);
	strcpy(request.peer, "never");
	request.target.port = SIDE_PRIVATE;
	assert_int_equal(local_send(pending, &request, sizeof(request), -1), 0);
	assert_true(side_status_has("\"name\""));
	out = fopen(side_config()->path, "a");
	assert_non_null(out);
	fprintf(out, "# a new one\n");
	fclose(out);
	return pending;
}

static void a_new_configuration_waits_for_who_asks_why(void **state)
{
	int pending = changed_while_dialling(), fd;
	struct local_reply reply;

	(void)state;
	fd = parked("refuser");
	assert_true(side_poll(fd, POLLIN, PATIENCE) & POLLERR);
	close(pending);
	world_turn(NULL, 100);
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(reply.error, ECONNREFUSED);
	close(fd);
	side_again();
}

static bool has_left(void)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)side_pid(), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid;
}

static void a_new_configuration_does_not_wait_for_who_never_asks(void **state)
{
	int pending = changed_while_dialling(), fds[3], i;

	(void)state;
	for (i = 0; i < 3; i++) {
		fds[i] = parked("refuser");
		assert_true(side_poll(fds[i], POLLIN, PATIENCE) & POLLERR);
		if (i == 0)
			close(pending);
		world_turn(NULL, 2600);		/* the next one is woken within 5 s of this one */
		assert_false(has_left());
	}
	pending = side_connect();
	for (i = 0; i < 50 && !has_left(); i++)
		world_turn(NULL, 100);
	assert_true(has_left());
	close(pending);
	for (i = 0; i < 3; i++)
		close(fds[i]);
	side_again();
}

static void a_program_that_polls_for_reading_only_is_woken_too(void **state)
{
	int fd = parked("refuser");

	(void)state;
	assert_true(side_poll(fd, POLLIN, PATIENCE) != 0);
	assert_int_equal(so_error(fd), ECONNRESET);	/* without the shim: an error all the same */
	close(fd);
}

static void the_same_socket_may_try_again(void **state)
{
	int fd = parked("refuser"), real, far;
	struct local_reply reply;

	(void)state;
	assert_true(side_poll(fd, POLLOUT, PATIENCE) & POLLOUT);	/* perhaps before the reset */
	claim(fd, &reply);
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(park(fd, "bob", &reply), LOCAL_OK);
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	real = claim(fd, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	far = accept_one();
	close(real);
	close(far);
	close(fd);
}

static void undo(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	assert_int_equal(connect(fd, &none, sizeof(none)), 0);
	so_error(fd);
}

/* At whatever moment it gives the first one up */
static void the_same_socket_may_turn_to_another_peer(void **state)
{
	int fd = parked("never"), real, far;
	struct local_reply reply;

	(void)state;
	undo(fd);
	assert_int_equal(park(fd, "bob", &reply), LOCAL_OK);
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	far = accept_one();
	undo(fd);
	assert_int_equal(park(fd, "bob", &reply), LOCAL_OK);
	assert_true(side_poll(far, POLLIN, PATIENCE) & POLLIN);
	/* The first path is closed: as the program's end was, by a reset, when the resolver saw that before it was asked */
	assert_true(recv(far, &(char){ 0 }, 1, 0) <= 0);
	close(far);
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	real = claim(fd, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	far = accept_one();
	say(real, far, "the second one");
	close(real);
	close(far);
	close(fd);
}

/* ------------------------------------------------------------ programs that go away */

static unsigned int counter(const char *name)
{
	char *status = side_status(), *at = strstr(status, name);
	unsigned int value = at ? (unsigned int)strtoul(at + strlen(name), NULL, 10) : 0;

	free(status);
	return value;
}

static void a_program_that_closes_early_cancels_the_session(void **state)
{
	unsigned int before = counter("cancelled=");
	char text[32];
	int fd = parked("never");

	(void)state;
	close(fd);
	snprintf(text, sizeof(text), "cancelled=%u", before + 1);
	assert_true(side_status_has(text));	/* within PARKED_LOOK */
}

static void a_path_for_a_program_that_left_is_closed(void **state)
{
	int fd = parked("slow"), far;
	char byte;

	(void)state;
	close(fd);
	far = accept_one();
	assert_true(side_poll(far, POLLIN, PATIENCE) & POLLIN);
	assert_int_equal(recv(far, &byte, 1, 0), 0);
	close(far);
}

/* Close @fd and listen where it was bound. Return: the listener */
static int stranger_in_place_of(int fd)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);
	int stranger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
	close(fd);
	setsockopt(stranger, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(stranger, (struct sockaddr *)&own, sizeof(own)), 0);
	assert_int_equal(listen(stranger, 5), 0);
	return stranger;
}

/* Its address and port belong to somebody else by the time the path is there */
static void a_stranger_on_the_programs_port_gets_nothing(void **state)
{
	int fd = parked("slow"), stranger, far;

	(void)state;
	stranger = stranger_in_place_of(fd);
	far = accept_one();
	assert_true(side_poll(far, POLLIN, PATIENCE) & POLLIN);	/* closed: it was decided */
	assert_int_equal(side_poll(stranger, POLLIN, 50), 0);
	close(far);
	close(stranger);
}

/* The program's port becomes another's after the last look at it */
static void a_stranger_who_is_faster_gets_nothing(void **state)
{
	int fd, stranger, stolen, far;
	char byte = 0, heard[16];

	(void)state;
	interlude->armed = true;
	fd = parked("bob");
	assert_int_equal(recv(interlude->ends[0], &byte, 1, 0), 1);
	stranger = stranger_in_place_of(fd);
	interlude->armed = false;
	assert_int_equal(send(interlude->ends[0], &byte, 1, 0), 1);
	far = accept_one();
	send(far, "for the program", 15, MSG_NOSIGNAL);
	assert_int_equal(side_poll(stranger, POLLIN, PATIENCE), POLLIN);
	stolen = accept(stranger, NULL, NULL);
	if (stolen >= 0) {
		assert_true(side_poll(stolen, POLLIN, PATIENCE) & POLLIN);
		assert_true(recv(stolen, heard, sizeof(heard), 0) <= 0);
		close(stolen);
	}
	assert_true(side_poll(far, POLLRDHUP, PATIENCE) & POLLRDHUP);
	close(far);
	close(stranger);
}

/* ------------------------------------------------------------ programs that do not claim */

static void a_static_program_is_served_by_copying(void **state)
{
	int fd = parked("bob"), far;

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	far = accept_one();
	say(far, fd, "SSH-2.0 server speaks first");	/* after PARKED_CLAIM */
	say(fd, far, "client");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_true(side_poll(far, POLLRDHUP, PATIENCE) & POLLRDHUP);
	say(far, fd, "after half-close");
	close(far);
	close(fd);
}

static void bytes_written_before_the_claim_are_not_lost(void **state)
{
	int fd = parked("bob"), far;
	struct local_reply reply;
	char text[16] = "";

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	assert_int_equal(send(fd, "early ", 6, 0), 6);
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);		/* it stays, and works */
	far = accept_one();
	assert_true(side_poll(far, POLLIN, PATIENCE) & POLLIN);
	assert_int_equal(recv(far, text, sizeof(text), 0), 6);
	assert_string_equal(text, "early ");
	say(fd, far, "bird");
	close(far);
	close(fd);
}

/* As of a program that cannot put another socket in the place of this one */
static int claim_copy(int fd, struct local_reply *reply)
{
	struct local_request request;
	int real = -1;

	side_request(&request, LOCAL_CLAIM_PARKED);
	request.copy = 1;
	side_ask(&request, fd, reply, &real);
	return real;
}

/* The far side may speak first, and at once */
static void a_program_that_cannot_take_the_socket_is_served_by_copying(void **state)
{
	int fd = parked("bob"), real, far;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	real = claim_copy(fd, &reply);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	assert_int_equal(real, -1);
	far = accept_one();
	say(far, fd, "welcome");
	say(fd, far, "hello");
	close(far);
	assert_true(side_poll(fd, POLLIN, PATIENCE) & POLLIN);
	assert_int_equal(recv(fd, &(char){ 0 }, 1, 0), 0);
	close(fd);
}

static void who_finds_no_room_for_copying_is_told(void **state)
{
	int fd = parked("bob"), real, far;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	interlude->full = true;
	real = claim_copy(fd, &reply);
	interlude->full = false;
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(reply.error, ENOBUFS);
	assert_int_equal(real, -1);
	far = accept_one();
	assert_true(side_poll(far, POLLIN, PATIENCE) & POLLIN);
	assert_int_equal(recv(far, &(char){ 0 }, 1, 0), 0);
	close(far);
	close(fd);
}

static void a_late_claim_is_still_good_while_nobody_spoke(void **state)
{
	int fd = parked("bob"), real, far;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	world_turn(NULL, 1300);		/* longer than PARKED_CLAIM */
	real = claim(fd, &reply);
	assert_int_equal(reply.status, LOCAL_OK);
	far = accept_one();
	say(far, real, "hello");
	close(real);
	close(far);
	close(fd);
}

/* ------------------------------------------------------------ refusals */

static void sockets_that_cannot_wait_are_refused(void **state)
{
	int blocking = socket(AF_INET, SOCK_STREAM, 0), busy = parked("never"), listening, mptcp;
	struct local_reply reply;

	(void)state;
	assert_int_equal(park(blocking, "bob", &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EINVAL);
	assert_int_equal(park(busy, "bob", &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EISCONN);
	assert_int_equal(tcp_state(busy), TCP_SYN_SENT);	/* untouched */
	listening = side_listen("127.0.0.1", 0);
	assert_int_equal(park(listening, "bob", &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EISCONN);
	mptcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 262);
	if (mptcp >= 0) {
		assert_int_equal(park(mptcp, "bob", &reply), LOCAL_FAILED);
		assert_int_equal(reply.error, EPROTONOSUPPORT);
		close(mptcp);
	}
	close(blocking);
	close(busy);
	close(listening);
}

static void a_socket_bound_to_a_device_is_refused(void **state)
{
	int fd = program_socket(AF_INET);
	struct local_reply reply;

	(void)state;
	assert_int_equal(system("ip link add name dummy7 type dummy 2>/dev/null || ip link add dummy7 type veth"), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "dummy7", 7), 0);
	assert_int_equal(park(fd, "bob", &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EOPNOTSUPP);
	assert_non_null(strstr(reply.text, "dummy7"));
	close(fd);
}

static void other_sockets_are_not_ours(void **state)
{
	int fd = parked("bob"), other = program_socket(AF_INET), far;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_poll(fd, POLLOUT, PATIENCE), POLLOUT);
	assert_int_equal(claim(other, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(claim(fd, &reply));
	far = accept_one();
	close(far);
	close(other);
	close(fd);
}

static void a_socket_of_another_network_is_refused(void **state)
{
	struct local_reply reply;
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	fd = program_socket(AF_INET);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(park(fd, "bob", &reply), LOCAL_FAILED);
	assert_int_equal(reply.error, EXDEV);
	close(fd);
	close(home);
}

static void a_killed_resolver_leaves_no_program_waiting(void **state)
{
	int fd = parked("never");
	struct local_reply reply;

	(void)state;
	side_again();
	assert_true(side_poll(fd, POLLOUT, PATIENCE) & POLLERR);	/* with the SYN's next repetition, after 1 s */
	assert_int_equal(so_error(fd), ECONNREFUSED);
	assert_int_equal(claim(fd, &reply), -1);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_socket_truly_connects_and_then_is_the_real_one),
		cmocka_unit_test(sockets_of_all_families_can_wait),
		cmocka_unit_test(many_wait_at_once),
		cmocka_unit_test(a_failure_wakes_at_once_and_gives_its_reason_once),
		cmocka_unit_test(a_new_configuration_waits_for_who_asks_why),
		cmocka_unit_test(a_new_configuration_does_not_wait_for_who_never_asks),
		cmocka_unit_test(a_program_that_polls_for_reading_only_is_woken_too),
		cmocka_unit_test(the_same_socket_may_try_again),
		cmocka_unit_test(the_same_socket_may_turn_to_another_peer),
		cmocka_unit_test(a_program_that_closes_early_cancels_the_session),
		cmocka_unit_test(a_path_for_a_program_that_left_is_closed),
		cmocka_unit_test(a_stranger_on_the_programs_port_gets_nothing),
		cmocka_unit_test(a_stranger_who_is_faster_gets_nothing),
		cmocka_unit_test(a_static_program_is_served_by_copying),
		cmocka_unit_test(bytes_written_before_the_claim_are_not_lost),
		cmocka_unit_test(a_program_that_cannot_take_the_socket_is_served_by_copying),
		cmocka_unit_test(who_finds_no_room_for_copying_is_told),
		cmocka_unit_test(a_late_claim_is_still_good_while_nobody_spoke),
		cmocka_unit_test(sockets_that_cannot_wait_are_refused),
		cmocka_unit_test(a_socket_bound_to_a_device_is_refused),
		cmocka_unit_test(other_sockets_are_not_ours),
		cmocka_unit_test(a_socket_of_another_network_is_refused),
		cmocka_unit_test(a_killed_resolver_leaves_no_program_waiting),
	};

	return cmocka_run_group_tests_name("resolver parked", tests, begin, side_teardown);
}
