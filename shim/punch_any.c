/* SPDX-License-Identifier: MIT */
/*
 * punch_any.c - "punch --any": programs that no preload reaches
 *
 * Theory of operation
 *
 * A static program, or one in Go, makes its system calls itself.  So the kernel is asked to stop those few
 * that concern us and to ask somebody: seccomp user notification.
 *
 *	punch ---fork, fork---> supervisor		punch_any_loop.c; session of its own
 *	  | names in a private /etc/hosts
 *	  | filter ----listener----> supervisor
 *	  | exec
 *	COMMAND
 *
 * The program takes punch's place, as without --any: process id, parent, terminal, signals and exit
 * status are its own affair.  The supervisor is nobody's child that the program could wait for, keeps none of its
 * descriptors, and ends with the last process that has the filter.  When it is killed, what would have asked fails
 * with ENOSYS, and sockets that are connected live on.
 *
 * To copy descriptors and read addresses the supervisor needs what a debugger needs.  Where
 * only ancestors have that (Yama's ptrace_scope 1) it has it by a user namespace: who made one and stays outside has
 * all capabilities over who is inside.  The same namespace, with each number mapped to itself, allows the private
 * mount of /etc/hosts without privilege.
 *
 * Dynamic programs in the same tree get the preload as ever, for names: any ".punch" resolves there.  It sees
 * PUNCH_ANY and leaves their sockets to the supervisor, so that each socket has one master.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/local.h"
#include "common/log.h"
#include "shim/config.h"
#include "shim/env.h"
#include "shim/names.h"
#include "shim/punch_any.h"
#include "shim/punch_any_filter.h"
#include "shim/punch_any_hosts.h"
#include "shim/punch_any_loop.h"
#include "shim/raw.h"
#include "shim/serve.h"

#define HOSTS		"/etc/hosts"
#define HOSTS_MOST	(64u << 20)	/* bytes of the system's file; the longest lists of advertisers have 30 MB */
#define PTRACE_SCOPE	"/proc/sys/kernel/yama/ptrace_scope"

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER	0x59616d61
#endif

/* ------------------------------------------------------------ names */

/* Return: text, the caller frees it; "" when there is no file */
static char *read_system(void)
{
	int fd = open(HOSTS, O_RDONLY | O_CLOEXEC);
	struct stat st = { 0 };
	char *text;
	ssize_t n = 0;

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size > (off_t)HOSTS_MOST))
		st.st_size = 0;
	text = calloc(1, (size_t)st.st_size + 1);
	if (text && fd >= 0)
		n = read(fd, text, (size_t)st.st_size);
	if (text)
		text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static void add_name(void *hosts, const char *name)
{
	hosts_add(hosts, name);
}

/* Quick mode cannot list its names: those that the program was told are looked for */
static void find_names(struct hosts *hosts, char *const *command)
{
	const struct config *config = config_get();
	char **variable;

	config_names(config, add_name, hosts);
	if (!config_local(config)->secret[0])
		return;
	for (; *command; command++)
		hosts_find_quick(hosts, *command);
	for (variable = environ; *variable; variable++)
		hosts_find_quick(hosts, *variable);
}

/* Return: false when the resolver cannot be asked, which has been told */
static bool find_slots(struct hosts *hosts)
{
	unsigned int i;

	for (i = 0; i < hosts->count; i++) {
		if (names_slot(config_get(), hosts->names[i].name, &hosts->names[i].slot) == EAI_AGAIN)
			return false;
	}
	return true;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = 0;
	size_t size = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (; size; text += n, size -= (size_t)n) {
		n = write(fd, text, size);
		if (n <= 0) {
			rc = n < 0 ? -errno : -ENOSPC;
			break;
		}
	}
	close(fd);
	return rc;
}

/* In a mount namespace of our own: @text instead of /etc/hosts. Return: 0 or -errno */
static int mount_hosts(const char *text)
{
	/* covered for a moment, for us alone; all systems have one of them */
	static const char *const folders[] = { "/tmp", "/run", "/var", "/dev" };
	char options[64], file[32];
	unsigned int i;
	int rc;

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return -errno;
	snprintf(options, sizeof(options), "mode=755,size=%zu", strlen(text) + 65536);
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (mount("punch", folders[i], "tmpfs", MS_NOSUID | MS_NODEV, options) == 0)
			break;
	}
	if (i == sizeof(folders) / sizeof(folders[0]))
		return -errno;
	snprintf(file, sizeof(file), "%s/hosts", folders[i]);
	rc = write_file(file, text);
	if (rc == 0 && mount(file, HOSTS, NULL, MS_BIND, NULL) < 0)
		rc = -errno;
	if (umount2(folders[i], MNT_DETACH) < 0 && rc == 0)
		rc = -errno;
	return rc;
}

/* ------------------------------------------------------------ namespaces */

/* Each number is mapped to itself, the only map that needs no privilege */
static int map_users(uid_t uid, gid_t gid)
{
	char text[32];
	int rc;

	rc = write_file("/proc/self/setgroups", "deny");
	if (rc < 0 && rc != -ENOENT)
		return rc;
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	rc = write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	return rc < 0 ? rc : write_file("/proc/self/gid_map", text);
}

static bool is_tracing_restricted(void)
{
	char digit = '0';
	int fd = open(PTRACE_SCOPE, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &digit, 1) != 1)
		digit = '0';
	close(fd);
	return digit != '0' && geteuid() != 0;
}

/* Return: 0 or -errno */
static int enter_namespaces(bool mounts)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (mounts && unshare(CLONE_NEWNS) == 0)
		return 0;
	if (unshare(CLONE_NEWUSER | (mounts ? CLONE_NEWNS : 0)) < 0)
		return -errno;
	return map_users(uid, gid);
}

static void arrange_names(const struct hosts *hosts)
{
	bool mounts = false, restricted = is_tracing_restricted();
	char *text = NULL, *system = NULL;
	unsigned int i;
	int rc = 0;

	for (i = 0; i < hosts->count; i++)
		mounts = mounts || hosts->names[i].slot;
	if (!mounts && !restricted)
		return;
	if (mounts) {
		system = read_system();
		text = system ? hosts_write(hosts, system) : NULL;
		rc = text ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = enter_namespaces(mounts);
	if (rc == 0 && mounts)
		rc = mount_hosts(text);
	if (rc < 0 && mounts)
		fprintf(stderr, "punch: warning: no %s of its own for the program (%s; it takes a user namespace): "
			"a static program will not find peers' names\n", HOSTS, strerror(-rc));
	free(system);
	free(text);
}

/* ------------------------------------------------------------ the supervisor */

static void detach(int pair)
{
	static const int ignored[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd;
	struct rlimit files;
	unsigned int i;

	/* it ends with the program, whoever means to end both */
	for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	raw_dup3(pair, 3, O_CLOEXEC);
	for (fd = 0; fd <= 2 && null >= 0; fd++)
		raw_dup3(null, fd, 0);
	syscall(SYS_close_range, 4, ~0u, 0);
	/* its numbers are the program's at times: punch_any_swap.c */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (chdir("/") < 0)
		log_debug("cannot leave the program's folder");
	prctl(PR_SET_NAME, "punch-any", 0, 0, 0);
}

static _Noreturn void supervise(int pair)
{
	pid_t own = getpid();
	char byte;
	int notify;

	detach(pair);
	if (local_send(3, &own, sizeof(own), -1) < 0 || local_recv(3, &byte, sizeof(byte), &notify) != 1 || notify < 0)
		_exit(EX_OSERR);
	close(3);
	serve_for_others();
	_exit(loop_run(notify) < 0 ? EX_OSERR : 0);
}

/* Return: its process number, or -errno */
static pid_t start_supervisor(int *pair)
{
	pid_t child, supervisor;
	int ends[2], none;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		setsid();
		child = fork();
		if (child == 0)
			supervise(ends[1]);
		_exit(child < 0);
	}
	close(ends[1]);
	waitpid(child, NULL, 0);
	*pair = ends[0];
	if (local_recv(*pair, &supervisor, sizeof(supervisor), &none) != (ssize_t)sizeof(supervisor))
		return -EAGAIN;
	return supervisor;
}

static int filter_failed(int rc)
{
	if (rc == -EBUSY)
		fputs("punch: --any: another supervisor watches here already (\"punch --any\" in \"punch --any\"?)\n",
		      stderr);
	else
		fprintf(stderr, "punch: --any: the kernel allows no seccomp user notification here: %s\n",
			strerror(-rc));
	return rc == -EBUSY ? EX_UNAVAILABLE : EX_OSERR;
}

/* May a peer reach a port of ours? */
static bool is_serving(void)
{
	const struct local_config *local = config_local(config_get());

	return config_has_services(config_get()) && (!local->secret[0] || local->as[0]);
}

static int hand_over(pid_t supervisor, int pair)
{
	const char byte = 0;
	int notify, rc;

	/* for Yama, where there is no user namespace; other kernels do not know it */
	prctl(PR_SET_PTRACER, supervisor, 0, 0, 0);
	notify = filter_install(is_serving());
	if (notify < 0)
		return filter_failed(notify);
	rc = local_send(pair, &byte, sizeof(byte), notify);
	close(notify);
	if (rc < 0) {
		fprintf(stderr, "punch: --any: the supervisor is gone: %s\n", strerror(-rc));
		return EX_OSERR;
	}
	return 0;
}

int any_begin(const char *folder, char *const *command)
{
	struct hosts hosts = { 0 };
	pid_t supervisor;
	int pair = -1, rc = EX_UNAVAILABLE;

	env_init(folder);
	config_init();
	if (!config_get())
		return EX_CONFIG;
	find_names(&hosts, command);
	if (!find_slots(&hosts))
		goto out;
	serve_init();
	supervisor = start_supervisor(&pair);
	if (supervisor < 0) {
		fprintf(stderr, "punch: --any: cannot start the supervisor: %s\n", strerror(-supervisor));
		rc = EX_OSERR;
		goto out;
	}
	arrange_names(&hosts);
	rc = hand_over(supervisor, pair);
	close(pair);
out:
	hosts_free(&hosts);
	return rc;
}
