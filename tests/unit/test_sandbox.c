/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox.c - what a confined server can still do, and what it cannot
 *
 * Each case runs in a child, for there is no way out. What a kernel without the feature cannot refuse is not asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/drop.h"
#include "common/sandbox.h"
#include "relay/sandbox.h"
#include "rendezvous/sandbox.h"
#include "tests/unit/scratch.h"

static const char *const no_calls[] = { NULL };

/* Version of Landlock here, at most -1 when there is none */
static int landlock(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* Run @body in a child that is confined by @sandbox. Return: its exit status */
static int confined(const struct sandbox *sandbox, int (*body)(void))
{
	char why[256];
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (drop_privileges() || sandbox_enter(sandbox, why, sizeof(why)))
			_exit(99);
		_exit(body());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int opened(const char *path, int flags)
{
	int fd = open(path, flags, 0600), err = errno;

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : err;
}

static int tcp(int (*use)(int, const struct sockaddr *, socklen_t), uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

	if (fd < 0)
		return errno;
	rc = use(fd, (struct sockaddr *)&sin, sizeof(sin)) ? errno : 0;
	close(fd);
	return rc;
}

static int connect_to(int fd, const struct sockaddr *address, socklen_t size)
{
	return connect(fd, address, size);
}

static int bind_to(int fd, const struct sockaddr *address, socklen_t size)
{
	return bind(fd, address, size);
}

#define EXPECT(what) do { if (!(what)) return __LINE__ % 90 + 1; } while (0)

/* ------------------------------------------------------------ files */

static const char *file_in, *file_out, *log_file;

static int only_the_listed_files(void)
{
	EXPECT(opened(file_in, O_RDONLY) == 0);
	EXPECT(opened(file_in, O_WRONLY) == EACCES);
	EXPECT(opened(file_out, O_RDONLY) == EACCES);
	EXPECT(opened("/etc/passwd", O_RDONLY) == EACCES);
	EXPECT(opened(log_file, O_WRONLY | O_CREAT | O_APPEND) == 0);
	EXPECT(opened(log_file, O_RDONLY) == EACCES);
	EXPECT(opened("/dev/null", O_WRONLY) == 0 && opened("/dev/zero", O_WRONLY) == EACCES);
	return 0;
}

static void files_are_those_of_the_list(void **state)
{
	static const char *const calls[] = { "openat", NULL };
	const char *read[3] = { "/no/such/file" }, *write[3] = { NULL, "/dev/null" };
	struct sandbox sandbox = { .read = read, .write = write, .calls = calls };

	(void)state;
	if (landlock() < 1)
		skip();
	assert_int_equal(mkdir(scratch_path("in"), 0700), 0);
	assert_int_equal(opened(scratch_path("in/file"), O_CREAT | O_WRONLY), 0);
	assert_int_equal(opened(scratch_path("out"), O_CREAT | O_WRONLY), 0);
	assert_int_equal(mkdir(scratch_path("log"), 0700), 0);
	file_in = strdup(scratch_path("in/file"));
	file_out = strdup(scratch_path("out"));
	log_file = strdup(scratch_path("log/log"));	/* not there yet */
	read[1] = strdup(scratch_path("in"));
	write[0] = log_file;
	assert_int_equal(confined(&sandbox, only_the_listed_files), 0);
}

/* ------------------------------------------------------------ programs, ports, processes */

static int no_program(void)
{
	char name[] = "true", *argv[] = { name, NULL };

	execv("/bin/true", argv);
	EXPECT(errno == EACCES);
	return 0;
}

static void no_program_is_started(void **state)
{
	static const char *const calls[] = { "execve", NULL };
	const struct sandbox sandbox = { .calls = calls };

	(void)state;
	if (landlock() < 1)
		skip();
	assert_int_equal(confined(&sandbox, no_program), 0);
}

static int only_the_listed_ports(void)
{
	EXPECT(tcp(connect_to, 6379) == ECONNREFUSED || tcp(connect_to, 6379) == 0 || tcp(connect_to, 6379) == ENETUNREACH);
	EXPECT(tcp(connect_to, 6380) == EACCES);
	EXPECT(tcp(bind_to, 45333) == EACCES);
	return 0;
}

static void ports_are_those_of_the_lists(void **state)
{
	static const char *const calls[] = { "socket", "connect", "bind", NULL };
	static const uint16_t redis[] = { 6379, 0 }, none[] = { 0 };
	const struct sandbox sandbox = { .bind = none, .connect = redis, .calls = calls };

	(void)state;
	if (landlock() < 4)
		skip();
	assert_int_equal(confined(&sandbox, only_the_listed_ports), 0);
}

static int no_signal(void)
{
	EXPECT(kill(getppid(), 0) == -1 && errno == EPERM);
	EXPECT(kill(getpid(), 0) == 0);
	return 0;
}

static void other_processes_get_no_signal(void **state)
{
	static const char *const calls[] = { "kill", "getppid", NULL };
	const struct sandbox sandbox = { .alone = true, .calls = calls };

	(void)state;
	if (landlock() < 6)
		skip();
	assert_int_equal(confined(&sandbox, no_signal), 0);
}

/* ------------------------------------------------------------ system calls */

static int only_what_servers_do(void)
{
	char byte = 0;
	int pair[2];

	EXPECT(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM);
	EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_ptrace, 0, 0, 0, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &byte) == -1 && errno == EPERM);
	EXPECT(fork() == -1 && errno == EPERM);
	free(malloc(1 << 24));		/* memory, and a line on a closed or open stderr, as ever */
	return 0;
}

static void calls_are_those_of_the_list(void **state)
{
	const struct sandbox sandbox = { .calls = no_calls };

	(void)state;
	assert_int_equal(confined(&sandbox, only_what_servers_do), 0);
}

/* ------------------------------------------------------------ the relay's own */

static int relay_body(void)
{
	int pipes[2];

	EXPECT(pipe2(pipes, O_CLOEXEC) == 0);
	EXPECT(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EPERM);
	EXPECT(fork() == -1 && errno == EPERM);
	EXPECT(landlock() < 0);		/* its list is closed */
	return opened("/etc/passwd", O_RDONLY) == 0 ? 98 : 0;
}

static void a_relay_has_pipes_and_no_more(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	if (landlock() < 1)
		skip();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(drop_privileges() || relay_sandbox() ? 99 : relay_body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
}

/* ------------------------------------------------------------ the rendezvous' own */

static struct conf_rendezvous rendezvous;

static int started(const char *program)
{
	char name[] = "a program", *argv[] = { name, NULL };

	execv(program, argv);
	return errno;
}

/* What it has with a relay beside it, and without one: the files of its list, sockets, no other process */
static int rendezvous_body(void)
{
	char byte = 0;

	EXPECT(tcp(bind_to, 0) == 0);
	EXPECT(opened(rendezvous.allow, O_RDONLY) == 0 && opened(rendezvous.allow, O_WRONLY) == EACCES);
	EXPECT(opened("/etc/hosts", O_RDONLY) == 0 || errno == ENOENT);
	EXPECT(opened("/etc/passwd", O_RDONLY) == EACCES);
	EXPECT(opened(rendezvous.key, O_RDONLY) == EACCES);		/* it was read before */
	EXPECT(syscall(SYS_ptrace, 0, 0, 0, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_unshare, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_setns, 0, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0) == -1 && errno == EPERM);
	EXPECT(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, &byte) == -1 && errno == EPERM);
	return 0;
}

static int alone_body(void)
{
	int line = rendezvous_body();

	EXPECT(!line);
	EXPECT(opened(rendezvous.relay_secret, O_RDONLY) == EACCES);
	EXPECT(fork() == -1 && errno == EPERM);
	EXPECT(started("/bin/true") == EPERM);
	EXPECT(kill(getppid(), 0) == -1 && errno == EPERM);
	return 0;
}

/* Nothing but what lies beside it, which here is the test itself, and the libraries */
static int embedded_body(void)
{
	int line = rendezvous_body(), status;
	pid_t pid;

	EXPECT(!line);
	EXPECT(opened(rendezvous.relay_secret, O_RDONLY) == 0);
	EXPECT(started("/bin/true") == EACCES);
	EXPECT(landlock() < 6 || (kill(getppid(), 0) == -1 && errno == EPERM));
	pid = fork();
	if (pid == 0)
		_exit(77);
	EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 77);
	return 0;
}

static int rendezvous_with(const char *relay, int (*body)(void))
{
	int status = -1;
	pid_t pid;

	strcpy(rendezvous.relay, relay);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(drop_privileges() || rendezvous_sandbox(&rendezvous) ? 99 : body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_rendezvous_has_sockets_and_its_files(void **state)
{
	(void)state;
	if (landlock() < 1)
		skip();
	assert_int_equal(mkdir(scratch_path("allowed"), 0700), 0);
	snprintf(rendezvous.allow, sizeof(rendezvous.allow), "%s", scratch_path("allowed/keys"));
	snprintf(rendezvous.key, sizeof(rendezvous.key), "%s", scratch_path("rendezvous.key"));
	snprintf(rendezvous.relay_secret, sizeof(rendezvous.relay_secret), "%s", scratch_path("relay.secret"));
	assert_int_equal(opened(rendezvous.allow, O_CREAT | O_WRONLY), 0);
	assert_int_equal(opened(rendezvous.key, O_CREAT | O_WRONLY), 0);
	assert_int_equal(opened(rendezvous.relay_secret, O_CREAT | O_WRONLY), 0);
	assert_int_equal(rendezvous_with("none", alone_body), 0);
	assert_int_equal(rendezvous_with("embedded", embedded_body), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_those_of_the_list, scratch_setup, scratch_teardown),
		cmocka_unit_test(no_program_is_started),
		cmocka_unit_test(ports_are_those_of_the_lists),
		cmocka_unit_test(other_processes_get_no_signal),
		cmocka_unit_test(calls_are_those_of_the_list),
		cmocka_unit_test(a_relay_has_pipes_and_no_more),
		cmocka_unit_test_setup_teardown(a_rendezvous_has_sockets_and_its_files, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
