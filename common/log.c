/* SPDX-License-Identifier: MIT */
/*
 * log.c - one line a call, to stderr or a file
 *
 * Runs inside other people's programs (the shim links it), which decides most
 * of what looks odd here: no malloc, no stdio streams, no descriptor kept, one
 * write() a line, errno restored.  Such programs also close and renumber their
 * descriptors, so descriptor 2 may have become a database or a client's
 * connection: log_stderr_usable() looks before each line.  Nor is libc asked to poll, open, write, close
 * or wait: there a thread that was cancelled would end, in the midst of what the shim must finish (shim/raw.h).
 *
 * The configuration is written once, by log_init(), before threads exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/printable.h"

#define LINE_MAX_BYTES	2048	/* below PIPE_BUF (4096), so that a line written to a pipe stays whole */
#define SIGSET_SIZE	8	/* bytes of the kernel's sigset_t, whatever libc's has */
#define BURST		5	/* limited lines a second: enough to see what happens, harmless on disk */

static struct {
	const char *ident;
	enum log_level level;
	const char *file;	/* log_file, or NULL */
	bool never_wait;
	bool stderr_known;	/* the next two are valid */
	dev_t stderr_dev;
	ino_t stderr_ino;
} state = { .ident = "punch", .level = LOG_LEVEL_WARN };

/* Apart from the rest: a page that most programs under the shim never touch */
static char log_file[LIMIT_PATH];

static const char *const level_names[] = { "error", "warn", "info", "debug" };

_Static_assert(sizeof(level_names) / sizeof(level_names[0]) == LOG_LEVEL_DEBUG + 1,
	       "one name for each level");

static void know_stderr(void)
{
	struct stat st;

	state.stderr_known = fstat(STDERR_FILENO, &st) == 0;
	if (state.stderr_known) {
		state.stderr_dev = st.st_dev;
		state.stderr_ino = st.st_ino;
	}
}

int log_init(const char *ident, const char *level, const char *file)
{
	int saved = errno, rc = -EINVAL;
	unsigned int i;

	state.ident = ident;
	state.level = LOG_LEVEL_WARN;
	state.file = NULL;
	if (file && *file && strlen(file) < sizeof(log_file))
		state.file = strcpy(log_file, file);

	know_stderr();
	if (!level || !*level)
		rc = 0;
	for (i = 0; rc && i <= LOG_LEVEL_DEBUG; i++) {
		if (strcasecmp(level, level_names[i]) == 0) {
			state.level = (enum log_level)i;
			rc = 0;
		}
	}
	errno = saved;
	return rc;
}

void log_never_wait(void)
{
	state.never_wait = true;
}

bool log_enabled(enum log_level level)
{
	return level <= state.level;
}

/* A protocol may run over descriptor 2 (inetd): never write into a connection */
static bool is_network_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	/* raw: getsockopt() is one of the shim's own hooks */
	if (syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0)
		return true;
	return domain != AF_UNIX;
}

/*
 * Is descriptor 2 still a place for messages?  The one of the start is, unless
 * it is a connection.  Another one is trusted when it is a device, a pipe, or a
 * file opened for appending, as logs are and databases are not.
 */
bool log_stderr_usable(void)
{
	struct stat st;
	int flags;

	if (fstat(STDERR_FILENO, &st) < 0)
		return false;
	if (S_ISSOCK(st.st_mode) && is_network_socket(STDERR_FILENO))
		return false;
	if (state.stderr_known && st.st_dev == state.stderr_dev && st.st_ino == state.stderr_ino)
		return true;
	if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))
		return true;
	if (!S_ISREG(st.st_mode))
		return false;
	flags = fcntl(STDERR_FILENO, F_GETFL);
	return flags >= 0 && (flags & O_APPEND);
}

static size_t clip(int wanted, size_t room)
{
	if (wanted < 0)
		return 0;
	return (size_t)wanted < room ? (size_t)wanted : room - 1;
}

/* Everything but the newline. Return: bytes */
__attribute__((format(printf, 4, 0)))
static size_t compose(char *line, size_t room, enum log_level level, const char *format, va_list args)
{
	size_t size, body;
	int wanted;

	if (level == LOG_LEVEL_ERROR) {
		wanted = snprintf(line, room, "%s: ", state.ident);
	} else if (level == LOG_LEVEL_WARN) {
		wanted = snprintf(line, room, "%s: warning: ", state.ident);
	} else {
		uint64_t ms = clock_now() / MS;

		wanted = snprintf(line, room, "%s: %s: [%llu.%03llu] ", state.ident,
				  level == LOG_LEVEL_INFO ? "info" : "debug",
				  (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
	}
	size = clip(wanted, room);
	wanted = vsnprintf(line + size, room - size, format, args);
	body = clip(wanted, room - size);
	if (wanted > 0 && (size_t)wanted >= room - size && body >= 3)
		memcpy(line + size + body - 3, "...", 3);
	size += body;
	printable(line, size);
	return size;
}

/* A pipe that has room has it for a whole line, which is shorter than PIPE_BUF */
static bool takes_more(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };

	if (!state.never_wait)
		return true;
#ifdef SYS_poll		/* as libc has it, for the sake of sandboxes */
	return syscall(SYS_poll, &pollfd, 1, 0) == 1;
#else
	return syscall(SYS_ppoll, &pollfd, 1, &(struct timespec){ 0 }, NULL, SIGSET_SIZE) == 1;
#endif
}

/*
 * All of it: a signal or a slow pipe may cut a write short.  Whoever read the
 * program's messages may be gone: the program must not die of ours, so
 * SIGPIPE is held back in this thread and taken away if it came.
 */
static void put(int fd, const char *data, size_t size)
{
	static const struct timespec at_once;
	sigset_t pipe_only, before, pending;
	bool was_pending;

	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE) == 1;
	sigprocmask(SIG_BLOCK, &pipe_only, &before);
	while (size > 0 && takes_more(fd)) {
		ssize_t n = syscall(SYS_write, fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE && !was_pending)
			while (syscall(SYS_rt_sigtimedwait, &pipe_only, NULL, &at_once, SIGSET_SIZE) < 0 &&
			       errno == EINTR)
				;
		if (n <= 0)
			break;
		data += n;
		size -= (size_t)n;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* O_NONBLOCK: a FIFO that nobody reads must not stop the program */
static int file_open(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, state.file,
			    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
}

void log_keep(void)
{
	int fd = state.file ? file_open() : -1;

	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
	know_stderr();
	state.file = NULL;
}

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	int saved = errno, fd = -1;
	va_list args;
	size_t size;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	size = compose(line, sizeof(line) - 1, level, format, args);
	va_end(args);
	line[size++] = '\n';

	if (state.file)
		fd = file_open();
	if (fd >= 0) {
		put(fd, line, size);
		syscall(SYS_close, fd);
	} else if (log_stderr_usable()) {
		put(STDERR_FILENO, line, size);
	}
	errno = saved;
}

bool log_limited(struct log_limit *limit)
{
	uint64_t second = clock_now() / SECOND + 1;	/* never 0, which marks a new bucket */

	if (limit->told) {
		limit->suppressed = 0;
		limit->told = false;
	}
	if (limit->refilled != second) {
		limit->refilled = second;
		limit->tokens = BURST;
	}
	if (limit->tokens == 0) {
		limit->suppressed++;
		return false;
	}
	limit->tokens--;
	limit->told = true;
	return true;
}
