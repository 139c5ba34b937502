/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_local.c - who may ask the resolver for what, and what it answers
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/unit/side_scratch.h"
#include "common/standin.h"

#define PATIENCE 5000	/* ms; nothing that works takes longer */

/* How often the kernel refuses to watch a listener from now on: shared with the resolver's process */
static volatile int *unwatchable;

int __real_event_add(struct event *event, const struct timeval *timeout);
int __wrap_event_add(struct event *event, const struct timeval *timeout);

int __wrap_event_add(struct event *event, const struct timeval *timeout)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (*unwatchable && getsockopt(event_get_fd(event), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens) {
		(*unwatchable)--;
		return -1;
	}
	return __real_event_add(event, timeout);
}

static int begin(void **state)
{
	unwatchable = mmap(NULL, sizeof(*unwatchable), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return unwatchable == MAP_FAILED ? -1 : side_setup(state);
}

/* ------------------------------------------------------------ names */

static void a_peer_has_one_slot_under_all_its_names(void **state)
{
	struct local_reply one, two;
	struct local_request request;

	(void)state;
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &one, NULL), LOCAL_OK);
	assert_string_equal(one.peer, "bob");
	assert_in_range(one.slot, 1, STANDIN_SLOTS - 2);
	assert_int_equal(side_simple(LOCAL_NAME, "BOB.example.org.", -1, &two, NULL), LOCAL_OK);
	assert_int_equal(two.slot, one.slot);
	assert_string_equal(two.peer, "bob");
	side_request(&request, LOCAL_NAME);	/* reverse */
	standin_endpoint(&request.target, AF_INET, one.slot, 0);
	side_ask(&request, -1, &two, NULL);
	assert_int_equal(two.status, LOCAL_OK);
	assert_string_equal(two.peer, "bob");
}

static void other_names_and_addresses_are_not_ours(void **state)
{
	struct local_request request;
	struct local_reply reply;

	(void)state;
	assert_int_equal(side_simple(LOCAL_NAME, "example.org", -1, &reply, NULL), LOCAL_NOT_OURS);
	assert_int_equal(reply.error, ENOENT);
	assert_int_equal(side_simple(LOCAL_NAME, "bob.punch", -1, &reply, NULL), LOCAL_NOT_OURS);
	side_request(&request, LOCAL_DIAL);
	endpoint_parse(&request.target, "192.0.2.1", 80);
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	standin_endpoint(&request.target, AF_INET, 77, 80);	/* a stand-in of nobody: nothing else can reach it */
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(reply.error, EHOSTUNREACH);
	assert_non_null(strstr(reply.text, "239.192.0.77"));
}

/* ------------------------------------------------------------ dialling */

static void dial(struct local_request *request, const char *peer, uint16_t port)
{
	side_request(request, LOCAL_DIAL);
	snprintf(request->peer, sizeof(request->peer), "%s", peer);
	request->target.port = port;
}

static void a_dial_gives_the_connected_socket(void **state)
{
	int server = side_listen("127.0.0.1", SIDE_PRIVATE), fd, far;
	struct local_request request;
	struct local_reply reply;
	char text[8] = "";

	(void)state;
	dial(&request, "", SIDE_PRIVATE);
	endpoint_parse(&request.target, "10.9.0.2", SIDE_PRIVATE);	/* bob's literal alias */
	side_ask(&request, -1, &reply, &fd);
	assert_int_equal(reply.status, LOCAL_OK);
	assert_string_equal(reply.peer, "bob");
	assert_int_equal(reply.path, LOCAL_PATH_DIRECT);
	assert_int_equal(reply.setup_us, 10000);
	assert_true(fd >= 0);
	far = accept(server, NULL, NULL);
	assert_int_equal(send(far, "hello", 5, 0), 5);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 5);
	assert_true(side_status_has("\"direction\":\"out\""));
	assert_true(side_status_has("\"bytes_in\":5"));
	close(far);
	close(fd);
	close(server);
	assert_true(side_status_lacks("\"open\":true"));
}

static void a_dual_stack_program_gets_a_dual_stack_socket(void **state)
{
	int server = side_listen("127.0.0.1", SIDE_PRIVATE), fd, domain;
	socklen_t size = sizeof(domain);
	struct local_request request;
	struct local_reply reply;

	(void)state;
	dial(&request, "bob", SIDE_PRIVATE);
	request.family = AF_INET6;
	side_ask(&request, -1, &reply, &fd);
	assert_int_equal(reply.status, LOCAL_OK);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
	assert_int_equal(domain, AF_INET6);
	close(fd);
	close(server);
}

static void a_failed_dial_says_why(void **state)
{
	struct local_request request;
	struct local_reply reply;
	int fd;

	(void)state;
	dial(&request, "refuser", SIDE_PRIVATE);
	side_ask(&request, -1, &reply, &fd);
	assert_int_equal(reply.status, LOCAL_FAILED);
	assert_int_equal(reply.error, ECONNREFUSED);
	assert_string_equal(reply.text, "refuser has no service on port 8082");
	assert_int_equal(fd, -1);
	dial(&request, "nobody-knows", 80);
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.error, EHOSTUNREACH);
	dial(&request, "bob", 0);
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.error, EINVAL);
	dial(&request, "bob", 80);
	request.family = AF_UNIX;
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.error, EINVAL);
}

static void a_client_that_goes_away_cancels_its_session(void **state)
{
	int socket = side_connect();
	struct local_request request;

	(void)state;
	dial(&request, "never", SIDE_PRIVATE);
	assert_int_equal(local_send(socket, &request, sizeof(request), -1), 0);
	assert_int_equal(side_poll(socket, POLLIN, 100), 0);	/* no answer */
	assert_true(side_status_has("cancelled=0"));
	close(socket);
	assert_true(side_status_has("cancelled=1"));
}

/* ------------------------------------------------------------ authority */

static int ask_status(const void *arg)
{
	struct local_reply reply;
	struct local_request request;

	side_request(&request, LOCAL_STATUS);
	if (arg)
		memcpy(request.token, arg, LOCAL_TOKEN);
	side_ask(&request, -1, &reply, NULL);
	for (int i = 0; i < LOCAL_TOKEN; i++)
		if (reply.token[i])
			return 99;	/* never to be given to another user */
	return (int)reply.status;
}

/* As "punchctl stop --all" and another configuration's resolver do */
static int ask_to_leave(const void *arg)
{
	static const enum local_kind kinds[] = { LOCAL_STOP, LOCAL_YIELD };
	struct local_request request;
	struct local_reply reply;

	(void)arg;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		side_request(&request, kinds[i]);
		memset(&request.config, 0, sizeof(request.config));
		side_ask(&request, -1, &reply, NULL);
		if (reply.status != LOCAL_DENIED)
			break;
	}
	return (int)reply.status;
}

static void another_user_is_refused(void **state)
{
	(void)state;
	assert_int_equal(as_nobody(ask_status, NULL), LOCAL_DENIED);
	assert_int_equal(as_nobody(ask_to_leave, NULL), LOCAL_DENIED);
}

static void another_user_with_the_token_is_served(void **state)
{
	static const uint8_t wrong[LOCAL_TOKEN] = { 1, 2, 3 };
	struct local_reply reply;

	(void)state;
	side_simple(LOCAL_NAME, "bob", -1, &reply, NULL);
	assert_int_equal(as_nobody(ask_status, reply.token), LOCAL_OK);
	assert_int_equal(as_nobody(ask_status, wrong), LOCAL_OTHER_CONFIG);	/* of another resolver, perhaps */
}

/* LISTEN and a claim, as a server does that dropped its privileges after its first listen() */
static int listen_and_claim(const void *arg)
{
	int fd = side_listen("127.0.0.1", SIDE_OPEN), accepted, fresh;
	struct local_request request;
	struct local_reply reply;

	side_request(&request, LOCAL_LISTEN);
	memcpy(request.token, arg, LOCAL_TOKEN);
	side_ask(&request, fd, &reply, NULL);
	if (reply.status != LOCAL_OK)
		return 1;
	side_request(&request, LOCAL_DIAL);
	memcpy(request.token, arg, LOCAL_TOKEN);
	strcpy(request.peer, "bob");
	request.target.port = SIDE_OPEN;
	side_ask(&request, -1, &reply, &fresh);
	if (reply.status != LOCAL_OK || fresh < 0 || !side_poll(fd, POLLIN, PATIENCE))
		return 2;
	accepted = accept(fd, NULL, NULL);
	side_simple(LOCAL_CLAIM_DOORBELL, "", accepted, &reply, &fresh);	/* without the token: by possession */
	return reply.status == LOCAL_OK && fresh >= 0 ? 0 : 3;
}

static void a_worker_without_rights_has_its_rights_by_the_token(void **state)
{
	struct local_reply reply;

	(void)state;
	side_simple(LOCAL_NAME, "bob", -1, &reply, NULL);
	assert_int_equal(as_nobody(listen_and_claim, reply.token), 0);
}

static int ask_with_other_secret(const void *arg)
{
	struct local_request request;
	struct local_reply reply;

	(void)arg;
	side_request(&request, LOCAL_STATUS);
	strcpy(request.config.secret, "guess");
	side_ask(&request, -1, &reply, NULL);
	return (int)reply.status;
}

static void another_user_learns_nothing_of_the_configuration(void **state)
{
	(void)state;
	assert_int_equal(ask_with_other_secret(NULL), LOCAL_OTHER_CONFIG);
	assert_int_equal(as_nobody(ask_with_other_secret, NULL), LOCAL_DENIED);
}

static void another_configuration_is_told_apart(void **state)
{
	struct local_request request;
	struct local_reply reply;

	(void)state;
	side_request(&request, LOCAL_STATUS);
	strcat(request.config.path, ".other");
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.status, LOCAL_OTHER_CONFIG);
}

/* ------------------------------------------------------------ hostile or broken clients */

/* Soon, not after LOCAL_PATIENCE_S; and without a word, not even a reply */
static bool is_hung_up_on(const void *data, size_t size)
{
	int socket = side_connect(), pass;
	struct local_reply reply;
	bool dropped;

	dropped = local_send(socket, data, size, -1) == 0 && side_poll(socket, POLLIN, PATIENCE / 2) &&
		  local_recv(socket, &reply, sizeof(reply), &pass) == 0;
	close(socket);
	return dropped;
}

/* Return: the first one that was not dropped, 0: all were */
static int send_wrong_shapes(const void *arg)
{
	struct { struct local_request request; char more; } big;
	struct local_request good, magic, above, below;

	(void)arg;
	side_request(&good, LOCAL_STATUS);
	memset(&big, 0, sizeof(big));
	big.request = magic = good;
	magic.magic++;
	side_request(&above, LOCAL_KIND_COUNT);
	side_request(&below, (enum local_kind)0);
	if (!is_hung_up_on("x", 1))
		return 1;
	if (!is_hung_up_on(&good, sizeof(good) - 1))
		return 2;
	if (!is_hung_up_on(&big, sizeof(big)))
		return 3;
	if (!is_hung_up_on(&magic, sizeof(magic)))
		return 4;
	if (!is_hung_up_on(&above, sizeof(above)))
		return 5;
	return is_hung_up_on(&below, sizeof(below)) ? 0 : 6;
}

static void requests_of_a_wrong_shape_are_dropped(void **state)
{
	struct local_reply reply;

	(void)state;
	assert_int_equal(send_wrong_shapes(NULL), 0);
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);	/* it lives */
	assert_int_equal(as_nobody(send_wrong_shapes, NULL), 0);
}

static void texts_without_an_end_do_no_harm(void **state)
{
	struct local_request request;
	struct local_reply reply;

	(void)state;
	side_request(&request, LOCAL_NAME);
	memset(request.peer, 'b', sizeof(request.peer));
	side_ask(&request, -1, &reply, NULL);
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
}

static void a_request_without_its_descriptor_is_refused(void **state)
{
	static const enum local_kind kinds[] = {
		LOCAL_PARK, LOCAL_CLAIM_PARKED, LOCAL_LISTEN, LOCAL_CLAIM_DOORBELL, LOCAL_DRAIN, LOCAL_DRAIN_END,
	};
	struct local_reply reply;

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		assert_int_equal(side_simple(kinds[i], "bob", -1, &reply, NULL), LOCAL_FAILED);
		assert_int_equal(reply.error, EBADF);
	}
}

static void descriptors_of_the_wrong_kind_are_refused(void **state)
{
	static const enum local_kind kinds[] = { LOCAL_PARK, LOCAL_LISTEN };
	struct local_reply reply;
	int pipes[2], udp = socket(AF_INET, SOCK_DGRAM, 0), fds[3];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	fds[0] = pipes[0];
	fds[1] = udp;
	fds[2] = socket(AF_UNIX, SOCK_STREAM, 0);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		for (size_t k = 0; k < COUNT(fds); k++) {
			struct local_request request;

			side_request(&request, kinds[i]);
			strcpy(request.peer, "bob");
			request.target.port = SIDE_OPEN;
			side_ask(&request, fds[k], &reply, NULL);
			assert_int_equal(reply.status, LOCAL_FAILED);
			assert_int_equal(reply.error, EPROTONOSUPPORT);
		}
	}
	for (size_t k = 0; k < COUNT(fds); k++) {
		assert_int_equal(side_simple(LOCAL_CLAIM_PARKED, "", fds[k], &reply, NULL), LOCAL_NOT_OURS);
		assert_int_equal(side_simple(LOCAL_CLAIM_DOORBELL, "", fds[k], &reply, NULL), LOCAL_NOT_OURS);
		assert_int_equal(side_simple(LOCAL_DRAIN, "", fds[k], &reply, NULL), LOCAL_NOT_OURS);
		close(fds[k]);
	}
	close(pipes[1]);
}

/* Connections that say nothing may not keep others out for longer than LOCAL_PATIENCE */
static void silent_clients_are_hung_up_on(void **state)
{
	int sockets[1024 + 8];
	struct local_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(sockets); i++)
		sockets[i] = side_connect();
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
	for (i = 0; i < COUNT(sockets); i++)
		close(sockets[i]);
}

/* A socket whose last close() takes as long as @seconds: bytes that nobody reads, and SO_LINGER */
static int slow_to_close(int *reader, int seconds)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = seconds };
	int listener = side_listen("127.0.0.1", 0), fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const char much[65536];
	struct sockaddr_in to;
	socklen_t size = sizeof(to);

	if (getsockname(listener, (struct sockaddr *)&to, &size) || connect(fd, (struct sockaddr *)&to, size))
		_exit(9);
	*reader = accept(listener, NULL, NULL);
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(listener);
	return fd;
}

enum poison { POISON_NO_REQUEST, POISON_CLAIM, POISON_STATUS, POISON_SECOND, POISON_UNREAD, POISON_FLOOD, POISON_COUNT };

#define FLOOD_LINK	60	/* connections: more than a porter's link has room for */
#define FLOOD_WAITING	40

/* What a stranger passes must be closed by somebody, and he decides how long that takes */
static void poison(enum poison kind)
{
	struct local_request request;
	int socket = side_connect(), reader, fd = slow_to_close(&reader, 60), i;

	side_request(&request, kind == POISON_STATUS ? LOCAL_STATUS : LOCAL_CLAIM_DOORBELL);
	if (kind == POISON_UNREAD || kind == POISON_SECOND)
		local_send(socket, &request, sizeof(request), kind == POISON_SECOND ? reader : -1);
	if (kind == POISON_CLAIM || kind == POISON_STATUS)
		local_send(socket, &request, sizeof(request), fd);
	else if (kind != POISON_FLOOD)
		local_send(socket, "x", 1, fd);
	for (i = 0; kind == POISON_FLOOD && i < FLOOD_LINK + FLOOD_WAITING; i++)
		local_send(side_connect(), "x", 1, i < FLOOD_LINK ? -1 : fd);
	close(fd);
	if (kind == POISON_UNREAD)
		close(socket);
}

/* Return: @pid, once it has said by the pipe @told that it is at work; 0: it could not become another user */
static pid_t when_told(const int told[2], pid_t pid)
{
	int status;
	char byte;

	close(told[1]);
	if (read(told[0], &byte, 1) != 1) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 255);
		pid = 0;
	}
	close(told[0]);
	return pid;
}

/*
 * It is stopped meanwhile, so that the last close() is never the stranger's own.
 * Return: another user who has passed it, and stays; 0 where there is none
 */
static pid_t poisoner(enum poison kind)
{
	int told[2];
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	kill(side_pid(), SIGSTOP);
	pid = fork();
	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		poison(kind);
		if (write(told[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	pid = when_told(told, pid);
	kill(side_pid(), SIGCONT);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* In a child of another user. Return: 0 once he is answered */
static int answered_at_last(const void *arg)
{
	struct local_request request;
	struct local_reply reply;
	int i, pass;

	(void)arg;
	side_request(&request, LOCAL_STATUS);
	for (i = 0; i < 200; i++) {
		int socket = side_connect();

		if (local_send(socket, &request, sizeof(request), -1) == 0 && side_poll(socket, POLLIN, PATIENCE) &&
		    local_recv(socket, &reply, sizeof(reply), &pass) == (ssize_t)sizeof(reply))
			return reply.status == LOCAL_DENIED ? 0 : 1;
		close(socket);
		poll(NULL, 0, 20);
	}
	return 2;
}

static void what_strangers_pass_holds_nobody_up(void **state)
{
	struct local_reply reply;
	enum poison kind;
	pid_t pid;

	(void)state;
	for (kind = 0; kind < POISON_COUNT; kind++) {
		pid = poisoner(kind);
		if (!pid)
			skip();
		assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
		end(pid);
	}
}

/* His own porter is killed for it, and the connections that waited are not closed by the resolver */
static void who_passes_such_things_is_heard_again(void **state)
{
	struct local_reply reply;
	pid_t first, many;

	(void)state;
	first = poisoner(POISON_CLAIM);
	if (!first)
		skip();
	many = poisoner(POISON_FLOOD);
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
	assert_int_equal(as_nobody(answered_at_last, NULL), 0);
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
	end(first);
	end(many);
}

/* Out of room, it looks away for a while; what it cannot watch then it tries again */
static void a_listener_that_cannot_be_watched_is_tried_again(void **state)
{
	struct local_request request;
	struct local_reply reply;
	struct rlimit enough, few;
	int socket, pass, i;

	(void)state;
	side_request(&request, LOCAL_STATUS);
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, NULL, &enough), 0);
	few = enough;
	few.rlim_cur = 4;
	*unwatchable = 2;
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, &few, NULL), 0);
	socket = side_connect();
	for (i = 0; i < PATIENCE / 20 && *unwatchable == 2; i++)
		poll(NULL, 0, 20);
	assert_int_equal(prlimit(side_pid(), RLIMIT_NOFILE, &enough, NULL), 0);
	assert_int_equal(local_send(socket, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(socket, &reply, sizeof(reply), &pass), (ssize_t)sizeof(reply));
	assert_int_equal(*unwatchable, 0);
	close(socket);
}

static unsigned int files_of(pid_t pid)
{
	char path[64];
	unsigned int count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	assert_non_null(folder);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* Connections of another user cost us none of our own, however long they last */
static void strangers_hold_none_of_our_descriptors(void **state)
{
	enum { MANY = 100, OURS = 6 };	/* a porter's link, and what comes and goes */
	int come[2], go[2], status, i;
	unsigned int before;
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_true(pipe(come) == 0 && pipe(go) == 0);
	before = files_of(side_pid());
	pid = fork();
	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		close(go[1]);
		for (i = 0; i < MANY; i++)
			side_connect();
		_exit(write(come[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 0);
	}
	close(come[1]);
	close(go[0]);
	if (read(come[0], &byte, 1) == 1) {
		assert_true(side_status_has("node"));
		for (i = 0; i < 100 && files_of(side_pid()) > before + OURS; i++)
			poll(NULL, 0, 20);
		assert_in_range(files_of(side_pid()), 1, before + OURS);
	}
	close(come[0]);
	close(go[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 255)
		skip();
	assert_int_equal(status, 0);
}

/* Another user who comes and goes, and always has some connections.  Return: 0 where there is none */
static pid_t pest(void)
{
	int told[2];
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0;; i++) {
			struct sockaddr_un sun;
			int size = local_address(&sun, 0, side_config(), 0), fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

			if (connect(fd, (struct sockaddr *)&sun, (socklen_t)size) < 0)
				close(fd);
			else if (fd > 40)
				close(dup2(fd, 20 + i % 10));
			if (i == 20 && write(told[1], "", 1) != 1)
				_exit(1);
			poll(NULL, 0, 5);
		}
	}
	pid = when_told(told, pid);
	return pid;
}

/* Within PATIENCE */
static bool side_ends(void)
{
	int i, status;

	for (i = 0; i < PATIENCE / 20; i++) {
		if (waitpid(side_pid(), &status, WNOHANG) == side_pid())
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
		poll(NULL, 0, 20);
	}
	return false;
}

static void strangers_keep_no_new_configuration_out(void **state)
{
	struct local_request request;
	pid_t pid = pest();
	int socket;
	FILE *out;

	(void)state;
	if (!pid)
		skip();
	out = fopen(side_config()->path, "a");
	assert_non_null(out);
	fprintf(out, "# a new one\n");
	fclose(out);
	socket = side_connect();
	side_request(&request, LOCAL_NAME);
	local_send(socket, &request, sizeof(request), -1);
	assert_true(side_ends());	/* and its keeper would start the next one */
	close(socket);
	end(pid);
	side_again();
}

static void strangers_do_not_keep_it_awake(void **state)
{
	pid_t pid;

	(void)state;
	setenv("PUNCH_IDLE", "1", 1);
	side_again();
	unsetenv("PUNCH_IDLE");
	pid = pest();
	if (pid) {
		assert_true(side_ends());
		end(pid);
	}
	side_again();
	if (!pid)
		skip();
}

/* A key that others can read for a moment, and just then the file changes: it is not put aside for good */
static void what_was_wrong_for_a_moment_is_tried_again(void **state)
{
	char key[sizeof(scratch) + 16];
	struct local_reply reply;
	bool ended = false;
	FILE *out;
	int i;

	(void)state;
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);	/* it has started */
	snprintf(key, sizeof(key), "%s/node.key", scratch);
	assert_int_equal(chmod(key, 0644), 0);
	out = fopen(side_config()->path, "a");
	assert_non_null(out);
	fprintf(out, "# a newer one\n");
	fclose(out);
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
	assert_true(side_status_has("node.key"));
	assert_int_equal(chmod(key, 0600), 0);
	for (i = 0; i < 15 * 50 && !ended; i++) {	/* each connection has it look at the file */
		struct sockaddr_un sun;
		int size = local_address(&sun, geteuid(), side_config(), 0), fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

		connect(fd, (struct sockaddr *)&sun, (socklen_t)size);
		poll(NULL, 0, 20);
		close(fd);
		ended = waitpid(side_pid(), NULL, WNOHANG) == side_pid();
	}
	assert_true(ended);
	side_again();
}

/* Moved aside and back: as if it had never been looked at in between */
static void the_same_file_again_is_no_change(void **state)
{
	char command[3 * sizeof(scratch) + 256], aside[sizeof(scratch) + 16];
	int pending = side_connect(), listener = side_listen("127.0.0.1", SIDE_SERVICE);
	struct local_request request;
	struct local_reply reply;

	(void)state;
	dial(&request, "never", SIDE_PRIVATE);
	assert_int_equal(local_send(pending, &request, sizeof(request), -1), 0);	/* so that a new one has to wait */
	assert_int_equal(side_publish(listener, 0, &reply), LOCAL_OK);
	snprintf(aside, sizeof(aside), "%s/aside", scratch);
	assert_int_equal(rename(side_config()->path, aside), 0);
	assert_true(side_status_has("No such file"));
	assert_int_equal(rename(aside, side_config()->path), 0);
	assert_true(side_status_lacks("No such file"));
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	snprintf(command, sizeof(command), "cd %s && mv punch.conf aside && "
		 "sed '/peer bob/,/alias/d; s/= bob slow/= slow/' aside >punch.conf", scratch);
	assert_int_equal(system(command), 0);
	assert_int_equal(side_call("bob", SIDE_SERVICE), ECONNREFUSED);
	assert_int_equal(rename(aside, side_config()->path), 0);
	assert_int_equal(side_call("bob", SIDE_SERVICE), 0);
	close(pending);
	close(listener);
}

/* ------------------------------------------------------------ text */

static void read_text(enum local_kind kind, const char *peer, char *text, size_t size)
{
	struct local_request request;
	struct local_reply reply;
	int socket = side_connect(), pass;
	size_t used = 0;
	ssize_t n;

	side_request(&request, kind);
	strcpy(request.peer, peer);
	request.as_json = kind == LOCAL_PING;
	assert_int_equal(local_send(socket, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(socket, &reply, sizeof(reply), &pass), (ssize_t)sizeof(reply));
	assert_int_equal(reply.status, LOCAL_OK);
	while ((n = local_recv(socket, text + used, size - used - 1, &pass)) > 0)
		used += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(used && !text[used - 1]);	/* it is whole */
	close(socket);
}

static void status_reads_well(void **state)
{
	char text[16384];

	(void)state;
	read_text(LOCAL_STATUS, "", text, sizeof(text));
	assert_non_null(strstr(text, "node tester  "));
	assert_non_null(strstr(text, "rendezvous nowhere: ready, round trip 1.0 ms\n"));
	assert_non_null(strstr(text, "peer bob: 239.19"));
}

static void doctor_answers_when_it_has_done(void **state)
{
	char text[4096];

	(void)state;
	read_text(LOCAL_DOCTOR, "", text, sizeof(text));
	assert_string_equal(text, "healthy\n");
}

static void a_doctor_whose_patient_left_does_no_harm(void **state)
{
	struct local_request request;
	struct local_reply reply;
	int socket = side_connect(), pass;

	(void)state;
	side_request(&request, LOCAL_DOCTOR);
	assert_int_equal(local_send(socket, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(socket, &reply, sizeof(reply), &pass), (ssize_t)sizeof(reply));
	close(socket);
	world_turn(NULL, 100);	/* the report comes after 50 ms */
	assert_int_equal(side_simple(LOCAL_NAME, "bob", -1, &reply, NULL), LOCAL_OK);
}

static void ping_tells_each_step(void **state)
{
	int server = side_listen("127.0.0.1", SIDE_PRIVATE);
	struct local_request request;
	struct local_reply reply;
	char text[4096] = "";
	int socket = side_connect(), pass;
	size_t used = 0;
	ssize_t n;

	(void)state;
	side_request(&request, LOCAL_PING);
	strcpy(request.peer, "bob");
	request.target.port = SIDE_PRIVATE;
	request.as_json = 1;
	assert_int_equal(local_send(socket, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(socket, &reply, sizeof(reply), &pass), (ssize_t)sizeof(reply));
	while ((n = local_recv(socket, text + used, sizeof(text) - used - 1, &pass)) > 0)
		used += (size_t)n;
	assert_non_null(strstr(text, "{ \"ms\": 5.0, \"step\": \"half way\" }\n"));
	assert_non_null(strstr(text, "\"path\": \"direct\", \"remote\": \"127.0.0.1:8082\""));
	close(socket);
	close(server);
}

static void stop_frees_the_name_before_it_answers(void **state)
{
	struct local_reply reply;
	struct sockaddr_un sun;
	int size, fd, status;

	(void)state;
	assert_int_equal(side_simple(LOCAL_STOP, "", -1, &reply, NULL), LOCAL_OK);
	size = local_address(&sun, geteuid(), side_config(), 0);
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sun, (socklen_t)size), 0);
	close(fd);
	assert_int_equal(waitpid(side_pid(), &status, 0), side_pid());
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_has_one_slot_under_all_its_names),
		cmocka_unit_test(other_names_and_addresses_are_not_ours),
		cmocka_unit_test(a_dial_gives_the_connected_socket),
		cmocka_unit_test(a_dual_stack_program_gets_a_dual_stack_socket),
		cmocka_unit_test(a_failed_dial_says_why),
		cmocka_unit_test(a_client_that_goes_away_cancels_its_session),
		cmocka_unit_test(another_user_is_refused),
		cmocka_unit_test(another_user_with_the_token_is_served),
		cmocka_unit_test(a_worker_without_rights_has_its_rights_by_the_token),
		cmocka_unit_test(another_user_learns_nothing_of_the_configuration),
		cmocka_unit_test(another_configuration_is_told_apart),
		cmocka_unit_test(requests_of_a_wrong_shape_are_dropped),
		cmocka_unit_test(texts_without_an_end_do_no_harm),
		cmocka_unit_test(a_request_without_its_descriptor_is_refused),
		cmocka_unit_test(descriptors_of_the_wrong_kind_are_refused),
		cmocka_unit_test(silent_clients_are_hung_up_on),
		cmocka_unit_test(what_strangers_pass_holds_nobody_up),
		cmocka_unit_test(who_passes_such_things_is_heard_again),
		cmocka_unit_test(a_listener_that_cannot_be_watched_is_tried_again),
		cmocka_unit_test(strangers_hold_none_of_our_descriptors),
		cmocka_unit_test(strangers_keep_no_new_configuration_out),
		cmocka_unit_test(strangers_do_not_keep_it_awake),
		cmocka_unit_test(what_was_wrong_for_a_moment_is_tried_again),
		cmocka_unit_test(the_same_file_again_is_no_change),
		cmocka_unit_test(status_reads_well),
		cmocka_unit_test(doctor_answers_when_it_has_done),
		cmocka_unit_test(a_doctor_whose_patient_left_does_no_harm),
		cmocka_unit_test(ping_tells_each_step),
		cmocka_unit_test(stop_frees_the_name_before_it_answers),
	};

	return cmocka_run_group_tests_name("resolver local", tests, begin, side_teardown);
}
