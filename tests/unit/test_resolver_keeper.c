/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_keeper.c - the real punch-resolver comes, stays, is killed, comes again, and goes
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "common/clock.h"
#include "common/key.h"
#include "common/local.h"
#include "resolver/keeper.h"
#include "tests/unit/world.h"

#define PORT	8080	/* [service web] */
#define NOBODY	65534

static struct local_config config;

/* ------------------------------------------------------------ a client */

/* Return: socket to place @n, or -1 */
static int reach(unsigned int n)
{
	const struct timeval limit = { .tv_sec = WORLD_WAIT_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sun, (socklen_t)local_address(&sun, geteuid(), &config, n)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Return: status, or -1 when nobody answers at that place */
static int ask_at(unsigned int n, enum local_kind kind, int pass, struct local_reply *reply, char *text, size_t size)
{
	struct local_request request = { .magic = LOCAL_MAGIC, .kind = kind, .config = config, .as_json = 1 };
	int fd = reach(n), came = -1;
	size_t used = 0;
	ssize_t got = -1;

	if (fd >= 0 && local_send(fd, &request, sizeof(request), pass) == 0)
		got = local_recv(fd, reply, sizeof(*reply), &came);
	while (got > 0 && text && (got = local_recv(fd, text + used, size - 1 - used, &came)) > 0)
		used += (size_t)got;
	if (text)
		text[used] = '\0';
	if (fd >= 0)
		close(fd);
	return got < 0 ? -1 : (int)reply->status;
}

static int ask(enum local_kind kind, int pass)
{
	struct local_reply reply;

	return ask_at(0, kind, pass, &reply, NULL, 0);
}

static bool status_has(void *arg)
{
	struct local_reply reply;
	char text[16384];

	return ask_at(0, LOCAL_STATUS, -1, &reply, text, sizeof(text)) == LOCAL_OK && strstr(text, arg);
}

static pid_t pid_of(const char *field)
{
	struct local_reply reply;
	char text[16384], *at;

	assert_int_equal(ask_at(0, LOCAL_STATUS, -1, &reply, text, sizeof(text)), LOCAL_OK);
	at = strstr(text, field);
	assert_non_null(at);
	return (pid_t)strtol(at + strlen(field), NULL, 10);
}

static pid_t worker(void)
{
	return pid_of("\"pid\":");
}

static pid_t keeper(void)
{
	return pid_of("\"keeper_pid\":");
}

/* ------------------------------------------------------------ the world */

static void write_conf(const char *extra)
{
	char text[1024];

	snprintf(text, sizeof(text), "[node]\nname = alice\nkey = node.key\nrendezvous = 127.0.0.1:4430\nport-mapping = no\n"
		 "[service web]\nport = %d\n%s", PORT, extra);
	scratch_write("punch.conf", text, strlen(text), 0600);
}

static int begin(void **state)
{
	char why[256];
	struct key key;

	if (scratch_setup(state) || world_isolate() || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return -1;
	if (key_generate(&key) || key_save(&key, scratch_path("node.key"), why, sizeof(why)))
		return -1;
	key_wipe(&key);
	write_conf("");
	snprintf(config.path, sizeof(config.path), "%s", scratch_path("punch.conf"));
	setenv("PUNCH_CONF", config.path, 1);
	setenv("XDG_STATE_HOME", scratch, 1);
	setenv("PUNCH_LOG", "debug", 1);
	setenv("PUNCH_LOG_FILE", scratch_path("log"), 1);
	unsetenv("PUNCH_SECRET");
	unsetenv("STATE_DIRECTORY");
	return 0;
}

/* Return: exit status of the starter */
static int start(void)
{
	int status;
	pid_t pid = world_start(scratch_path("stderr"), "punch-resolver", "--background", NULL);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_gone(void *arg)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return kill(*(pid_t *)arg, 0) < 0;
}

static void assert_gone(pid_t pid)
{
	assert_true(world_until(NULL, is_gone, &pid));
}

/* Each test begins with a resolver in the background, and leaves none */
static int setup(void **state)
{
	(void)state;
	return start();
}

static int teardown(void **state)
{
	(void)state;
	ask(LOCAL_STOP, -1);
	unlink(scratch_path("stderr"));
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return reach(0) < 0 ? 0 : -1;
}

static int end(void **state)
{
	return scratch_teardown(state);
}

/* ------------------------------------------------------------ coming */

static void it_answers_as_soon_as_the_starter_has_left(void **state)
{
	(void)state;
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	assert_true(worker() != keeper());
}

static void a_second_start_is_content_with_the_first(void **state)
{
	pid_t before = worker();

	(void)state;
	assert_int_equal(start(), 0);
	assert_int_equal(worker(), before);
}

static void two_starts_at_once_make_one_resolver(void **state)
{
	pid_t pids[8];
	struct local_reply reply;
	int status;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	for (size_t i = 0; i < COUNT(pids); i++)
		pids[i] = world_start(scratch_path("stderr"), "punch-resolver", "--background", NULL);
	for (size_t i = 0; i < COUNT(pids); i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	assert_int_equal(ask_at(1, LOCAL_STATUS, -1, &reply, NULL, 0), -1);
}

/* Descriptors, signals, folder of the program that started it */
static void nothing_of_the_program_stays(void **state)
{
	char path[64], target[256] = "", link[64];
	sigset_t all, old;
	ssize_t n;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_BLOCK, &all, &old), 0);
	signal(SIGTERM, SIG_IGN);
	assert_int_equal(start(), 0);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	snprintf(path, sizeof(path), "/proc/%d/cwd", (int)worker());
	n = readlink(path, target, sizeof(target) - 1);
	assert_int_equal(n, 1);
	for (int fd = 0; fd <= 2; fd++) {
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)worker(), fd);
		memset(target, 0, sizeof(target));
		assert_true(readlink(link, target, sizeof(target) - 1) > 0);
		assert_string_equal(target, "/dev/null");
	}
	snprintf(path, sizeof(path), "/proc/%d/status", (int)worker());
	assert_true(world_file_has(path, "SigBlk:\t0000000000000000"));
	assert_true(world_file_has(path, "SigIgn:\t0000000000001000"));	/* SIGPIPE alone */
}

/* ------------------------------------------------------------ being killed */

static void a_killed_worker_costs_a_client_only_a_pause(void **state)
{
	struct local_reply before, after;
	pid_t old = worker(), kept = keeper();

	(void)state;
	ask_at(0, LOCAL_STATUS, -1, &before, NULL, 0);
	for (int i = 0; i < 3; i++) {
		old = worker();
		kill(old, SIGKILL);
		assert_int_equal(ask_at(0, LOCAL_STATUS, -1, &after, NULL, 0), LOCAL_OK);
		assert_true(worker() != old);
		assert_int_equal(keeper(), kept);
		assert_memory_equal(before.token, after.token, LOCAL_TOKEN);	/* clients remember it */
	}
}

static void its_services_are_published_again(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char listener[] = "\"listener\":\"0.0.0.0:8080\"";

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(ask(LOCAL_LISTEN, fd), LOCAL_OK);
	kill(worker(), SIGKILL);
	assert_true(world_until(NULL, status_has, listener));
	kill(keeper(), SIGKILL);		/* all of it, and another start */
	kill(worker(), SIGKILL);
	assert_int_equal(start(), 0);
	assert_true(world_until(NULL, status_has, listener));
	close(fd);
}

static bool has_keeper(void *arg)
{
	pid_t now = keeper();

	return now > 0 && now != *(pid_t *)arg;
}

/* exec gave it another name at first */
static bool is_renamed(void *arg)
{
	return world_file_has(arg, "punch-keeper");
}

static void a_disk_that_takes_nothing_is_no_obstacle(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	setenv("XDG_STATE_HOME", "/dev/null/state", 1);
	assert_int_equal(start(), 0);
	setenv("XDG_STATE_HOME", scratch, 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(ask(LOCAL_LISTEN, fd), LOCAL_OK);
	assert_true(world_file_has(scratch_path("log"), "will not remember what was published"));
	close(fd);
}

static unsigned long cpu_ticks(pid_t pid)
{
	char path[64], text[512], *at;
	unsigned long user = 0, kernel = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_true(scratch_read(path, text, sizeof(text)) > 0);
	at = strrchr(text, ')');
	assert_int_equal(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
	return user + kernel;
}

static void without_descriptors_it_waits_and_goes_on(void **state)
{
	struct rlimit few = { .rlim_cur = 24, .rlim_max = 24 };
	unsigned long before;
	int fds[64];

	(void)state;
	assert_int_equal(prlimit(worker(), RLIMIT_NOFILE, &few, NULL), 0);
	before = cpu_ticks(worker());
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = reach(0);
	world_turn(NULL, 1000);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	assert_true(cpu_ticks(worker()) - before < 30);		/* of 100 in that second, had it spun */
}

static void a_killed_keeper_is_replaced(void **state)
{
	struct local_reply before, after;
	pid_t kept = keeper(), old = worker();
	char path[64];

	(void)state;
	ask_at(0, LOCAL_STATUS, -1, &before, NULL, 0);
	kill(kept, SIGKILL);
	assert_true(world_until(NULL, has_keeper, &kept));
	assert_int_equal(worker(), old);	/* it served all the while */
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)keeper());
	assert_true(world_until(NULL, is_renamed, path));
	kill(old, SIGKILL);
	assert_int_equal(ask_at(0, LOCAL_STATUS, -1, &after, NULL, 0), LOCAL_OK);
	assert_memory_equal(before.token, after.token, LOCAL_TOKEN);
	assert_true(worker() != old);
}

/* A keeper as a worker executes it, whose worker we are. Return: our end of the link */
static int execute_keeper(void)
{
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ends[2];
	char path[4096];
	struct sockaddr_un sun;

	assert_int_equal(bind(listener, (struct sockaddr *)&sun,
			      (socklen_t)local_address(&sun, geteuid(), &config, 0)), 0);
	assert_int_equal(listen(listener, 5), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	world_program(path, "punch-resolver");
	if (fork() == 0) {
		listener = fcntl(listener, F_DUPFD, KEEPER_LINK_FD + 1);	/* out of the way of each other */
		ends[1] = fcntl(ends[1], F_DUPFD, KEEPER_LINK_FD + 1);
		dup2(listener, KEEPER_LISTENER_FD);
		dup2(ends[1], KEEPER_LINK_FD);
		execl(path, "punch-keeper", "--keeper", (char *)NULL);
		_exit(127);
	}
	close(listener);
	close(ends[1]);
	return ends[0];
}

/* What the old one writes last the new one reads first */
static void two_workers_never_run_at_once(void **state)
{
	struct local_request request = { .magic = LOCAL_MAGIC, .kind = LOCAL_STATUS, .config = config };
	struct local_reply reply;
	int link, fd, came;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	link = execute_keeper();
	assert_int_equal(send(link, &(char){ KEEPER_RESTART }, 1, 0), 1);
	fd = reach(0);
	assert_int_equal(local_send(fd, &request, sizeof(request), -1), 0);
	assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1000), 0);
	close(link);
	assert_int_equal(local_recv(fd, &reply, sizeof(reply), &came), (ssize_t)sizeof(reply));
	assert_int_equal(reply.status, LOCAL_OK);
	close(fd);
}

static bool is_another_worker(void *arg)
{
	return worker() != *(pid_t *)arg;
}

/* Without a keeper nobody would start it again: it waits for one, which comes after a pause the second time */
static void a_new_configuration_waits_for_the_keeper(void **state)
{
	pid_t kept = keeper(), old = worker();

	(void)state;
	kill(kept, SIGKILL);
	assert_true(world_until(NULL, has_keeper, &kept));
	kept = keeper();
	kill(kept, SIGKILL);
	assert_gone(kept);
	write_conf("# changed while there was none\n");
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	assert_true(world_until(NULL, is_another_worker, &old));
	assert_true(has_keeper(&kept));
	write_conf("");
}

static void a_keeper_that_cannot_be_started_is_tried_again(void **state)
{
	struct rlimit files, few;
	pid_t kept = keeper(), pid = worker();

	(void)state;
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &files), 0);
	few = (struct rlimit){ .rlim_cur = 3, .rlim_max = files.rlim_max };
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &few, NULL), 0);
	kill(kept, SIGKILL);
	world_turn(NULL, 500);		/* it has no descriptor for a word about it, either */
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, &files, NULL), 0);
	assert_true(world_until(NULL, has_keeper, &kept));
	assert_int_equal(worker(), pid);
}

static void the_keeper_is_not_found_by_the_resolvers_name(void **state)
{
	char path[64], text[256];

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)keeper());
	assert_true(scratch_read(path, text, sizeof(text)) > 0);
	assert_string_equal(text, "punch-keeper");
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)worker());
	assert_true(scratch_read(path, text, sizeof(text)) > 0);
	assert_string_equal(text, "punch-resolver\n");
}

/* ------------------------------------------------------------ going */

static void stop_ends_both(void **state)
{
	pid_t pids[] = { worker(), keeper() };

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	assert_int_equal(reach(0), -1);
	assert_gone(pids[0]);
	assert_gone(pids[1]);
}

static void a_keeper_that_is_told_to_leave_takes_its_worker_along(void **state)
{
	pid_t pids[] = { worker(), keeper() };

	(void)state;
	kill(pids[1], SIGTERM);
	assert_gone(pids[0]);
	assert_gone(pids[1]);
}

static void without_anything_to_do_it_leaves(void **state)
{
	pid_t pids[2];

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	setenv("PUNCH_IDLE", "1", 1);
	assert_int_equal(start(), 0);
	unsetenv("PUNCH_IDLE");
	pids[0] = worker();
	pids[1] = keeper();
	assert_gone(pids[0]);
	assert_gone(pids[1]);
}

static void with_a_published_service_it_stays(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	setenv("PUNCH_IDLE", "1", 1);
	assert_int_equal(start(), 0);
	unsetenv("PUNCH_IDLE");
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(ask(LOCAL_LISTEN, fd), LOCAL_OK);
	pid = worker();
	world_turn(NULL, 2500);
	assert_false(is_gone(&pid));
	close(fd);
	assert_gone(pid);	/* the listener has gone, and a second later so has the resolver */
}

/* ------------------------------------------------------------ the configuration */

static void a_new_configuration_is_read_before_the_next_request(void **state)
{
	struct local_request request = { .magic = LOCAL_MAGIC, .kind = LOCAL_NAME, .config = config, .peer = "bob" };
	struct local_reply reply;
	pid_t before = worker(), kept = keeper();
	char key[KEY_TEXT_SIZE], extra[128];
	int fd = reach(0), came;

	(void)state;
	assert_int_equal(local_send(fd, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(fd, &reply, sizeof(reply), &came), (ssize_t)sizeof(reply));
	assert_int_equal(reply.status, LOCAL_NOT_OURS);
	close(fd);
	snprintf(extra, sizeof(extra), "[peer bob]\nkey = %s\n", key_text((const uint8_t[KEY_SIZE]){ 1 }, key));
	write_conf(extra);
	fd = reach(0);
	assert_int_equal(local_send(fd, &request, sizeof(request), -1), 0);
	assert_int_equal(local_recv(fd, &reply, sizeof(reply), &came), (ssize_t)sizeof(reply));
	assert_int_equal(reply.status, LOCAL_OK);
	close(fd);
	assert_true(worker() != before);
	assert_int_equal(keeper(), kept);
	write_conf("");
}

static void a_broken_configuration_leaves_the_old_one_in_force(void **state)
{
	pid_t before = worker();

	(void)state;
	write_conf("[peer\n");
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	assert_int_equal(worker(), before);
	assert_true(world_file_has(scratch_path("log"), "the settings of before stay in force"));
	write_conf("");
}

/* Run with another environment. Return: exit status; what it said is in "stderr" */
static int start_with(const char *name, const char *value)
{
	int status;

	setenv("PUNCH_LOG_FILE", "", 1);
	setenv(name, value, 1);
	status = start();
	setenv("PUNCH_CONF", config.path, 1);
	setenv("PUNCH_LOG_FILE", scratch_path("log"), 1);
	return status;
}

static void what_is_wrong_is_told_before_it_detaches(void **state)
{
	static const char no_key[] = "[node]\nkey = none.key\nrendezvous = x\n", no_section[] = "[nodes]\n";

	(void)state;
	assert_int_equal(start_with("PUNCH_CONF", "/nonexistent/punch.conf"), 78);
	assert_true(world_file_has(scratch_path("stderr"), "punch-resolver: /nonexistent/punch.conf"));
	assert_int_equal(start_with("PUNCH_CONF", scratch_write("worse.conf", no_section, strlen(no_section), 0600)), 78);
	assert_true(world_file_has(scratch_path("stderr"), "worse.conf:1: "));
	assert_int_equal(start_with("PUNCH_CONF", scratch_write("bad.conf", no_key, strlen(no_key), 0600)), 78);
	assert_true(world_file_has(scratch_path("stderr"), "none.key: no such file"));
	setenv("PUNCH_SECRET", "blue horse", 1);
	assert_int_equal(start_with("PUNCH_RENDEZVOUS", ""), 78);
	assert_true(world_file_has(scratch_path("stderr"), "PUNCH_RENDEZVOUS"));
	assert_int_equal(start_with("PUNCH_RENDEZVOUS", "127.0.0.1"), 78);
	assert_true(world_file_has(scratch_path("stderr"), "punch-resolver: the secret word is weak: about 2^24 guesses"));
	assert_false(world_file_has(scratch_path("stderr"), "blue horse"));
	setenv("PUNCH_WEAK_SECRET", "yes", 1);
	setenv("PUNCH_AS", "no/name", 1);
	assert_int_equal(start_with("PUNCH_RENDEZVOUS", "127.0.0.1"), 78);
	assert_true(world_file_has(scratch_path("stderr"), "PUNCH_AS=no/name: a name has 1 to 63 letters"));
	unsetenv("PUNCH_SECRET");
	unsetenv("PUNCH_WEAK_SECRET");
	unsetenv("PUNCH_AS");
}

/* ------------------------------------------------------------ the name */

static void two_words_under_one_name_get_two_places(void **state)
{
	struct local_config file = config;
	struct local_reply reply;

	(void)state;
	memset(&config, 0, sizeof(config));
	strcpy(config.rendezvous, "127.0.0.1");
	setenv("PUNCH_RENDEZVOUS", "127.0.0.1", 1);
	for (unsigned int n = 0; n < 2; n++) {
		strcpy(config.secret, n ? "another word of the two" : "one word of the two");
		setenv("PUNCH_SECRET", config.secret, 1);
		assert_int_equal(start(), 0);
		for (unsigned int i = 0; i < n; i++)
			assert_int_equal(ask_at(i, LOCAL_STATUS, -1, &reply, NULL, 0), LOCAL_OTHER_CONFIG);
		assert_int_equal(ask_at(n, LOCAL_STATUS, -1, &reply, NULL, 0), LOCAL_OK);
	}
	assert_int_equal(ask_at(1, LOCAL_STOP, -1, &reply, NULL, 0), LOCAL_OK);
	strcpy(config.secret, "one word of the two");
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	unsetenv("PUNCH_SECRET");
	config = file;
}

/* Somebody else sits on the first place */
static void a_squatted_place_is_passed_by(void **state)
{
	struct sockaddr_un sun;
	int size = local_address(&sun, geteuid(), &config, 0), fd, ready[2];
	struct local_reply reply;
	char byte;
	pid_t pid;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		fd = setresuid(NOBODY, NOBODY, NOBODY) ? -1 : socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (fd < 0 || bind(fd, (struct sockaddr *)&sun, (socklen_t)size) || listen(fd, 5) ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		waitpid(pid, NULL, 0);
		close(ready[0]);
		skip();		/* this machine has no other user for us */
	}
	assert_int_equal(start(), 0);
	assert_int_equal(ask_at(1, LOCAL_STATUS, -1, &reply, NULL, 0), LOCAL_OK);
	assert_int_equal(ask_at(1, LOCAL_STOP, -1, &reply, NULL, 0), LOCAL_OK);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
}

/* ------------------------------------------------------------ the foreground */

static bool answers(void *arg)
{
	(void)arg;
	return ask(LOCAL_STATUS, -1) == LOCAL_OK;
}

static void in_the_foreground_it_is_one_process(void **state)
{
	pid_t pid;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	pid = world_start(scratch_path("stderr"), "punch-resolver", NULL);
	assert_true(world_until(NULL, answers, NULL));
	assert_int_equal(worker(), pid);
	assert_int_equal(keeper(), 0);
	write_conf("# changed\n");
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);	/* executes itself, the request waits meanwhile */
	assert_int_equal(worker(), pid);
	assert_true(world_file_has(scratch_path("log"), "starting again with the new configuration"));
	write_conf("");
	assert_int_equal(world_stop(pid), 0);
	assert_int_equal(reach(0), -1);
}

/* A foreground resolver that has a child of another image, as a pump is that outlives a reload. Return: its pid */
static pid_t start_with_child(pid_t *child)
{
	char path[4096];
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	world_program(path, "punch-resolver");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		*child = fork();
		if (*child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			pause();
		}
		if (write(ends[1], child, sizeof(*child)) != (ssize_t)sizeof(*child))
			_exit(1);
		execl(path, path, NULL);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], child, sizeof(*child)), (ssize_t)sizeof(*child));
	close(ends[0]);
	return pid;
}

static void children_of_before_a_reload_are_buried(void **state)
{
	pid_t pid, child;

	(void)state;
	assert_int_equal(ask(LOCAL_STOP, -1), LOCAL_OK);
	pid = start_with_child(&child);
	assert_true(world_until(NULL, answers, NULL));
	assert_int_equal(worker(), pid);
	write_conf("# changed\n");
	assert_int_equal(ask(LOCAL_STATUS, -1), LOCAL_OK);
	kill(child, SIGKILL);
	assert_true(world_until(NULL, is_gone, &child));	/* a zombie would be there */
	assert_int_equal(worker(), pid);
	write_conf("");
	assert_int_equal(world_stop(pid), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(it_answers_as_soon_as_the_starter_has_left),
		CASE(a_second_start_is_content_with_the_first),
		CASE(two_starts_at_once_make_one_resolver),
		CASE(nothing_of_the_program_stays),
		CASE(a_killed_worker_costs_a_client_only_a_pause),
		CASE(its_services_are_published_again),
		CASE(a_disk_that_takes_nothing_is_no_obstacle),
		CASE(without_descriptors_it_waits_and_goes_on),
		CASE(a_killed_keeper_is_replaced),
		CASE(two_workers_never_run_at_once),
		CASE(a_new_configuration_waits_for_the_keeper),
		CASE(a_keeper_that_cannot_be_started_is_tried_again),
		CASE(the_keeper_is_not_found_by_the_resolvers_name),
		CASE(stop_ends_both),
		CASE(a_keeper_that_is_told_to_leave_takes_its_worker_along),
		CASE(without_anything_to_do_it_leaves),
		CASE(with_a_published_service_it_stays),
		CASE(a_new_configuration_is_read_before_the_next_request),
		CASE(a_broken_configuration_leaves_the_old_one_in_force),
		CASE(what_is_wrong_is_told_before_it_detaches),
		CASE(two_words_under_one_name_get_two_places),
		CASE(a_squatted_place_is_passed_by),
		CASE(in_the_foreground_it_is_one_process),
		CASE(children_of_before_a_reload_are_buried),
	};

	return cmocka_run_group_tests_name("resolver keeper", tests, begin, end);
}
