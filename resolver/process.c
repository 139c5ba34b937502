/* SPDX-License-Identifier: MIT */
/*
 * process.c - become a process that owes nothing to the program it was started from
 *
 * The shim starts us from inside any program: with its open files, its
 * folder, its signal mask, its limits.  None of it may have an effect.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/drop.h"
#include "resolver/process.h"

#define PROCESS_FDS	2	/* most descriptors that a child gets */
#define PROCESS_FILES	65536	/* descriptors wanted at most: tables of the kernel and of libevent grow with it */

#define PROCESS_INHERITED 128	/* pumps with connections, 8 of each time, and mappers and porters that are leaving */

static pid_t inherited[PROCESS_INHERITED];
static unsigned int inherited_count;

/* Where the kernel shows the arguments of main() to others */
static struct {
	char *start;
	size_t size;
} arguments;

static void close_from(int lowest)
{
	struct rlimit files;
	int fd, most = PROCESS_FILES;

	if (close_range((unsigned int)lowest, ~0u, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < (rlim_t)most)
		most = (int)files.rlim_max;
	for (fd = lowest; fd < most; fd++)
		close(fd);
}

/* Otherwise the next socket would be descriptor 0, 1 or 2, and a log line would go to a peer */
static void fill_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * Not by signal(): it refuses glibc's own two, 32 and 33, and whoever was
 * started by posix_spawn(), as by make, has inherited them ignored.
 */
static void reset_signals(void)
{
	static const unsigned long action[8];	/* the kernel's struct sigaction, of any machine: SIG_DFL */
	sigset_t none;
	int n;

	for (n = 1; n < NSIG; n++)	/* fails for SIGKILL and its like, rightly */
		syscall(SYS_rt_sigaction, n, action, NULL, NSIG / 8);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < PROCESS_FILES ? files.rlim_max : PROCESS_FILES;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

void process_clean(int keep)
{
	close_from(keep);
	fill_standard();
	reset_signals();
	umask(077);
	if (chdir("/") < 0)
		errno = 0;	/* an unreadable root: every path used is absolute anyway */
	set_limits();
	drop_dumps();	/* keys are in memory */
}

void process_detach(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	setsid();
	for (i = STDIN_FILENO; fd >= 0 && i <= STDERR_FILENO; i++)
		dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

void process_title_init(int argc, char **argv)
{
	arguments.start = argv[0];
	/* They lie behind one another; where some library has moved them only the first part is used */
	for (int i = 0; i < argc && argv[i] == arguments.start + arguments.size; i++)
		arguments.size += strlen(argv[i]) + 1;
}

void process_title(const char *name, const char *title)
{
	size_t size = strlen(title);

	prctl(PR_SET_NAME, name);
	if (arguments.size == 0)
		return;
	if (size > arguments.size - 1)
		size = arguments.size - 1;
	memset(arguments.start, 0, arguments.size);
	memcpy(arguments.start, title, size);
}

int process_again(char *const argv[])
{
	union {
		unsigned long number;
		const char *path;
	} file = { .number = getauxval(AT_EXECFN) };

	execv("/proc/self/exe", argv);
	if (file.path && file.path[0] == '/')	/* a chroot without /proc */
		execv(file.path, argv);
	return -errno;
}

void process_inherit(void)
{
	char path[64], text[PROCESS_INHERITED * 12], *at = text, *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	for (inherited_count = 0; inherited_count < PROCESS_INHERITED; at = end) {
		inherited[inherited_count] = (pid_t)strtol(at, &end, 10);
		if (*end != ' ')	/* follows each of them */
			break;
		inherited_count++;
	}
	process_bury();
}

void process_bury(void)
{
	unsigned int i, kept = 0;

	for (i = 0; i < inherited_count; i++)
		if (waitpid(inherited[i], NULL, WNOHANG) == 0)
			inherited[kept++] = inherited[i];
	inherited_count = kept;
}

/*
 * What a child needs that speaks with strangers: where its libraries lie and what they are to do, and what
 * is read there. All else stays here, the word of quick mode and whatever the program that started us had.
 */
static bool is_harmless(const char *variable)
{
	static const char *const names[] = {
		"PUNCH_LOG", "PUNCH_LOG_FILE", "PUNCH_KTLS", "LD_LIBRARY_PATH", "OPENSSL_CONF", "OPENSSL_MODULES",
		"OPENSSL_ia32cap", "OPENSSL_armcap",
	};
	size_t i, size = strcspn(variable, "=");

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == size && memcmp(names[i], variable, size) == 0)
			return true;
	return false;
}

static void keep_harmless(char **variables)
{
	char **next;

	for (next = variables; *variables; variables++)
		if (is_harmless(*variables))
			*next++ = *variables;
	*next = NULL;
}

/* In the child */
static _Noreturn void become(char *const argv[], const int fds[], int count, bool bare)
{
	int kept[PROCESS_FDS], i;

	for (i = 0; i < count; i++)	/* none may lie where another one goes */
		kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, PROCESS_FD + count);
	for (i = 0; i < count; i++)
		if (dup2(kept[i], PROCESS_FD + i) < 0)
			_exit(PROCESS_CANNOT);
	if (bare && environ)
		keep_harmless(environ);
	process_again(argv);
	_exit(PROCESS_CANNOT);
}

pid_t process_start(char *const argv[], const int fds[], int count, bool bare)
{
	pid_t pid = count <= PROCESS_FDS ? fork() : (errno = EINVAL, -1);

	if (pid == 0)
		become(argv, fds, count, bare);
	return pid < 0 ? -errno : pid;
}
