/* SPDX-License-Identifier: MIT */
/*
 * test_dumps.c - whoever has keys in memory, or what strangers sent: its memory is read by no other process
 *
 * Not by a core dump, and not by way of /proc. The test does without CAP_SYS_PTRACE, which would open it all, and so is to
 * these processes as any other of the same user: a process that is "dumpable" lets it in (ptrace(2), PTRACE_MODE_READ).
 */
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/scratch.h"
#include "common/key.h"
#include "common/local.h"
#include "resolver/process.h"
#include "tests/unit/world.h"

#define NAMES	8	/* most processes of one kind looked at */

struct sought {
	const char *name;
	pid_t parent;
	unsigned int wanted;
	pid_t found[NAMES];
	unsigned int count;
};

static void read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* The descendants of a process that have the name */
static void look_below(struct sought *sought, pid_t parent)
{
	char path[64], text[1024], comm[32], *at = text, *end;
	pid_t pid;

	snprintf(path, sizeof(path), "task/%d/children", (int)parent);
	read_proc(parent, path, text, sizeof(text));
	for (pid = (pid_t)strtol(at, &end, 10); end != at; pid = (pid_t)strtol(at, &end, 10)) {
		at = end;
		read_proc(pid, "comm", comm, sizeof(comm));
		comm[strcspn(comm, "\n")] = '\0';
		if (strcmp(comm, sought->name) == 0 && sought->count < NAMES)
			sought->found[sought->count++] = pid;
		look_below(sought, pid);
	}
}

static bool are_there(void *arg)
{
	struct sought *sought = arg;

	sought->count = 0;
	look_below(sought, getpid());
	return sought->count >= sought->wanted;
}

static bool is_dumped(pid_t pid)
{
	char text[4096];

	read_proc(pid, "limits", text, sizeof(text));
	assert_non_null(strstr(text, "Max core file size"));
	return !strstr(text, "Max core file size        0                    0  ");
}

static bool is_read(pid_t pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_closed(void *arg)
{
	pid_t pid = *(pid_t *)arg;

	return !is_dumped(pid) && !is_read(pid);
}

/* There is a process of that name, and nobody reads its memory */
static void assert_closed(const char *name)
{
	struct sought sought = { .name = name, .wanted = 1 };

#ifdef __SANITIZE_ADDRESS__	/* its leak checker traces them */
	skip();
#endif
	if (!world_until(NULL, are_there, &sought))
		fail_msg("there is no %s", name);
	/* It has its name a moment before, but nothing in memory yet */
	for (unsigned int i = 0; i < sought.count; i++)
		if (!world_until(NULL, is_closed, &sought.found[i]))
			fail_msg("%s: dumps: %d, read: %d", name, is_dumped(sought.found[i]), is_read(sought.found[i]));
}

/* So it is with any other process, or these tests would show nothing */
static void another_process_is_open(void **state)
{
	pid_t pid = world_start(scratch_path("log"), "/bin/sleep", "100", NULL);

	(void)state;
	assert_true(is_dumped(pid));
	assert_true(is_read(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool relay_listens(void *arg)
{
	(void)arg;
	return world_listens(4433);
}

static void nobody_reads_a_rendezvous_and_its_relay(void **state)
{
	static const char conf[] = "[rendezvous]\nlisten = 127.0.0.1:4430\nprobe = 127.0.0.1:4431 127.0.0.1:4432\n"
				   "key = rdv.key\nrelay = embedded\n";
	pid_t pid;

	(void)state;
	scratch_write("rendezvous.conf", conf, strlen(conf), 0600);
	pid = world_start(scratch_path("log"), "punch-rendezvous", "-c", scratch_path("rendezvous.conf"), NULL);
	assert_true(world_until(NULL, relay_listens, NULL));
	assert_closed("punch-rendezvou");	/* 15 bytes of a name */
	assert_closed("punch-relay");
	assert_int_equal(world_stop(pid), 0);
}

static bool resolver_is_gone(void *arg)
{
	struct sought sought = { .name = arg };

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	look_below(&sought, getpid());
	return !sought.count;
}

static void nobody_reads_a_resolver_and_its_keeper(void **state)
{
	static char keeper[] = "punch-keeper", worker[] = "punch-resolver";
	struct sought sought = { .name = keeper, .wanted = 1 };
	pid_t pid = world_start(scratch_path("log"), "punch-resolver", "--background", NULL);

	(void)state;
	assert_int_equal(world_wait(pid), 0);
	assert_closed(worker);
	assert_closed(keeper);
	assert_true(are_there(&sought));
	assert_int_equal(kill(sought.found[0], SIGTERM), 0);
	assert_true(world_until(NULL, resolver_is_gone, worker));
	assert_true(world_until(NULL, resolver_is_gone, keeper));
}

/* A process with a link to us, as the resolver starts it */
static void nobody_reads_a_helper(const char *name, const char *option, const char *argument)
{
	int ends[2], status;
	char path[4096];
	pid_t pid;

	world_program(path, "punch-resolver");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fcntl(ends[1], F_DUPFD_CLOEXEC, PROCESS_FD + 1), PROCESS_FD);
		execl(path, "punch-resolver", option, argument, NULL);
		_exit(127);
	}
	close(ends[1]);
	assert_closed(name);
	close(ends[0]);
	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void nobody_reads_a_pump(void **state)
{
	(void)state;
	nobody_reads_a_helper("punch-pump", "--pump", NULL);
}

static void nobody_reads_a_porter(void **state)
{
	(void)state;
	nobody_reads_a_helper("punch-porter", "--porter", NULL);
}

/* It stays as long as there is a gateway that may answer */
static void nobody_reads_a_mapper(void **state)
{
	(void)state;
	assert_int_equal(system("ip link add home type veth peer name gateway && ip addr add 10.9.9.2/24 dev home && "
				"ip link set gateway up && ip link set home up && ip route add default via 10.9.9.1"), 0);
	nobody_reads_a_helper("punch-mapper", "--mapper", "14,4500");
}

/* --- */

static int without_ptrace(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, caps))
		return -1;
	caps[0].effective &= ~(1u << CAP_SYS_PTRACE);
	caps[0].permitted &= ~(1u << CAP_SYS_PTRACE);
	caps[0].inheritable = caps[1].inheritable = 0;
	return prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) || syscall(SYS_capset, &header, caps) ? -1 : 0;
}

static int begin(void **state)
{
	static const char conf[] = "[node]\nname = alice\nkey = node.key\nrendezvous = 127.0.0.1:4430\n";
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	char why[256];
	struct key key;

	if (scratch_setup(state) || world_isolate() || prctl(PR_SET_CHILD_SUBREAPER, 1) || without_ptrace())
		return -1;
	setrlimit(RLIMIT_CORE, &any);	/* where it may not be set it is hoped to be more than none */
	if (key_generate(&key) || key_save(&key, scratch_path("node.key"), why, sizeof(why)))
		return -1;
	key_wipe(&key);
	scratch_write("punch.conf", conf, strlen(conf), 0600);
	setenv("PUNCH_CONF", scratch_path("punch.conf"), 1);
	setenv("XDG_STATE_HOME", scratch_path(""), 1);
	unsetenv("STATE_DIRECTORY");
	unsetenv("PUNCH_SECRET");
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(another_process_is_open),
		cmocka_unit_test(nobody_reads_a_rendezvous_and_its_relay),
		cmocka_unit_test(nobody_reads_a_resolver_and_its_keeper),
		cmocka_unit_test(nobody_reads_a_pump),
		cmocka_unit_test(nobody_reads_a_porter),
		cmocka_unit_test(nobody_reads_a_mapper),
	};

	return cmocka_run_group_tests(tests, begin, scratch_teardown);
}
