/* SPDX-License-Identifier: MIT */
/*
 * test_resolver_sandbox.c - what each process of the resolver can still do, and what it cannot
 *
 * Each case runs in a child, for there is no way out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <openssl/rand.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "resolver/sandbox.h"
#include "tests/unit/scratch.h"

#define EXPECT(what) do { if (!(what)) return __LINE__ % 90 + 1; } while (0)
#define REFUSED(call) EXPECT((long)(call) == -1 && errno == EPERM)

static int held[2];	/* sockets from before */

/* Run @body in a child, behind @enter. Return: its exit status */
static int confined(void (*enter)(void), int (*body)(void))
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, held), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		enter();
		_exit(body());
	}
	close(held[0]);
	close(held[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Memory that could be run */
static void *code(int protection)
{
	void *page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? (void *)-1 : page;
}

static void *became_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page != MAP_FAILED && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0 ? page : (void *)-1;
}

static bool can_open(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int ran(const char *path)
{
	char name[] = "true", *argv[] = { name, NULL };

	execv(path, argv);
	return -1;
}

/* What neither a pump nor a mapper nor a porter can do */
static int no_way_out(void)
{
	REFUSED(open("/etc/passwd", O_RDONLY));
	REFUSED(open("/dev/null", O_WRONLY));
	REFUSED(mkdir("/tmp/made-by-a-confined-process", 0700));
	REFUSED(unlink("/tmp/made-by-a-confined-process"));
	REFUSED(fork());
	REFUSED(ran("/bin/true"));
	REFUSED(socket(AF_UNIX, SOCK_STREAM, 0));
	REFUSED(socket(AF_NETLINK, SOCK_RAW, 0));
	REFUSED(socket(AF_PACKET, SOCK_RAW, 0));
	REFUSED(code(PROT_READ | PROT_EXEC));
	REFUSED(became_code());
	REFUSED(kill(getppid(), 0));
	REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0));
	REFUSED(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
	REFUSED(syscall(SYS_unshare, CLONE_NEWUSER));
	REFUSED(syscall(SYS_pidfd_open, getppid(), 0));
	return 0;
}

/* What both need */
static int still_works(void)
{
	uint8_t drawn[32];
	char byte = 'x';

	EXPECT(write(held[0], &byte, 1) == 1 && recv(held[1], &byte, 1, 0) == 1);
	EXPECT(getrandom(drawn, sizeof(drawn), 0) == sizeof(drawn));
	EXPECT(RAND_bytes(drawn, sizeof(drawn)) == 1);
	free(malloc(1 << 24));
	log_error("a line of a confined process");
	return 0;
}

static int porter_body(void)
{
	int rc = no_way_out(), pair[2];

	EXPECT(rc == 0);
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(connect(held[0], NULL, 0));
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	return still_works();
}

static int pump_body(void)
{
	int rc = no_way_out(), pair[2];

	EXPECT(rc == 0);
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	REFUSED(socket(AF_INET, SOCK_STREAM, 0));
	REFUSED(socket(AF_INET6, SOCK_DGRAM, 0));
	REFUSED(connect(held[0], NULL, 0));
	REFUSED(bind(held[0], NULL, 0));
	return still_works();
}

/* The leak checker would not work in the sandboxes of pumps and mappers: a build with it has none */
static void need_sandbox(void)
{
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
}

static void a_pump_has_its_sockets_and_no_more(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(confined(sandbox_pump, pump_body), 0);
}

static void a_porter_has_pairs_of_sockets_and_no_more(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(confined(sandbox_porter, porter_body), 0);
}

/* ------------------------------------------------------------ */

static int use(int (*how)(int, const struct sockaddr *, socklen_t), int type, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0), rc;

	rc = fd < 0 || how(fd, (const struct sockaddr *)&sin, sizeof(sin)) ? errno : 0;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int bind_to(int fd, const struct sockaddr *address, socklen_t size)
{
	return bind(fd, address, size);
}

static int connect_to(int fd, const struct sockaddr *address, socklen_t size)
{
	return connect(fd, address, size);
}

/* Version of Landlock, negative when there is none. Asked before, for then it cannot be asked */
static int landlock;

static int mapper_body(void)
{
	int rc = no_way_out(), pair[2];

	EXPECT(rc == 0);
	REFUSED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	EXPECT(use(bind_to, SOCK_DGRAM, 0) == 0);
	EXPECT(use(connect_to, SOCK_DGRAM, 5351) == 0);
	EXPECT(use(connect_to, SOCK_STREAM, 1) == ECONNREFUSED);
	EXPECT(landlock < 4 || use(bind_to, SOCK_STREAM, 0) == EACCES);
	return still_works();
}

static void a_mapper_has_the_internet_and_no_more(void **state)
{
	(void)state;
	need_sandbox();
	landlock = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	assert_int_equal(confined(sandbox_mapper, mapper_body), 0);
}

/* ------------------------------------------------------------ */

/* It starts programs of its own, and looks at the sockets of those who ask it */
static int does_its_work(void)
{
	int status = -1, child = fork(), pidfd, copy;

	EXPECT(child >= 0);
	if (child == 0)
		_exit(ran("/bin/true"));
	EXPECT(waitpid(child, &status, 0) == child && status == 0);
	child = fork();
	if (child == 0)
		pause();
	pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	copy = (int)syscall(SYS_pidfd_getfd, pidfd, held[0], 0);
	EXPECT(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
	EXPECT(pidfd >= 0 && copy >= 0);
	EXPECT(can_open("/etc/passwd") && use(bind_to, SOCK_STREAM, 0) == 0);
	return still_works();
}

static int resolver_body(void)
{
#ifndef __SANITIZE_ADDRESS__
	REFUSED(syscall(SYS_ptrace, 0, 0, 0, 0));
#endif
	REFUSED(syscall(SYS_process_vm_writev, 1, NULL, 0, NULL, 0, 0));
	REFUSED(syscall(SYS_unshare, CLONE_NEWUSER));
	REFUSED(syscall(SYS_setns, 0, 0));
	REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
	REFUSED(syscall(SYS_mount, NULL, "/", NULL, 0, NULL));
	REFUSED(syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	REFUSED(syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(syscall(SYS_memfd_create, "code", 0));
	REFUSED(syscall(SYS_setuid, getuid()));
	REFUSED(code(PROT_READ | PROT_WRITE | PROT_EXEC));
	REFUSED(became_code());
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return does_its_work();
}

static void a_resolver_does_its_work_and_attacks_nobody(void **state)
{
	(void)state;
	assert_int_equal(confined(sandbox_resolver, resolver_body), 0);
}

/* Its processes are started by it, and enter sandboxes of their own inside */
static void both(void)
{
	sandbox_resolver();
	sandbox_pump();
}

static void a_pump_of_a_confined_resolver_is_a_pump(void **state)
{
	(void)state;
	need_sandbox();
	assert_int_equal(confined(both, pump_body), 0);
}

/* As in a container that refuses both, or an old kernel */
static void nothing(void)
{
	const char *missing[] = { "seccomp", "prctl", "landlock_create_ruleset", NULL };
	char why[256];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sandbox_refuse(missing, why, sizeof(why)))
		_exit(99);
	sandbox_resolver();
	sandbox_pump();
}

static int goes_on(void)
{
	EXPECT(can_open("/etc/passwd"));
	return still_works();
}

static void who_gets_no_sandbox_goes_on(void **state)
{
	(void)state;
	assert_int_equal(confined(nothing, goes_on), 0);
}

static int logs_to_the_file(void)
{
	log_warn("kept open");
	return 0;
}

static void the_log_stays_open(void **state)
{
	char line[256] = "";
	FILE *file;

	(void)state;
	log_init("test", "warn", scratch_path("log"));
	assert_int_equal(confined(sandbox_pump, logs_to_the_file), 0);
	file = fopen(scratch_path("log"), "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	assert_non_null(strstr(line, "kept open"));
	fclose(file);
	log_init("test", NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pump_has_its_sockets_and_no_more),
		cmocka_unit_test(a_porter_has_pairs_of_sockets_and_no_more),
		cmocka_unit_test(a_mapper_has_the_internet_and_no_more),
		cmocka_unit_test(a_resolver_does_its_work_and_attacks_nobody),
		cmocka_unit_test(a_pump_of_a_confined_resolver_is_a_pump),
		cmocka_unit_test(who_gets_no_sandbox_goes_on),
		cmocka_unit_test_setup_teardown(the_log_stays_open, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests_name("resolver_sandbox", tests, NULL, NULL);
}
