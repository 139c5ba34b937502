/* SPDX-License-Identifier: MIT */
/*
 * embedded.c - a punch-relay run by the rendezvous
 *
 * A process of its own: the relay moves bytes while the rendezvous computes handshakes, and what a
 * stranger might do to one of them is not done to the other.  Its stdout is a pipe to
 * us: the first line says that it listens, the end of file that it has died. It dies with us by
 * PR_SET_PDEATHSIG even when we are killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "conf/conf.h"
#include "rendezvous/embedded.h"
#include "rendezvous/limits.h"

#define STOP_TIME (2 * SECOND)	/* for it to leave by SIGTERM before SIGKILL */

static struct {
	struct event_base *base;
	struct event *said;		/* its stdout */
	struct event *again;		/* time to start it anew */
	void (*up)(bool is_up);
	char program[LIMIT_PATH];
	char *argv[2 * CONF_LIST + 6];
	char listen[CONF_LIST][ENDPOINT_TEXT_SIZE];
	char secret[LIMIT_PATH];
	pid_t pid;			/* 0: not running */
	int out;			/* our end of its stdout, -1 none */
	bool is_up;
	uint64_t started, back;
	uint64_t starts;
} child = { .out = -1 };

static int child_start(void);

static void set_up(bool is_up)
{
	if (child.is_up != is_up)
		child.up(is_up);
	child.is_up = is_up;
}

static void start_later(void)
{
	const struct timeval in = {
		.tv_sec = (time_t)(child.back / SECOND), .tv_usec = (suseconds_t)(child.back % SECOND),
	};

	evtimer_add(child.again, &in);
	child.back = child.back * 2 > RDV_CHILD_BACK_MAX ? RDV_CHILD_BACK_MAX : child.back * 2;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	int err;

	(void)fd;
	(void)what;
	(void)arg;
	err = child_start();
	if (err) {
		log_error("cannot start %s: %s", child.program, strerror(-err));
		start_later();
	}
}

static void close_out(void)
{
	if (child.said)
		event_free(child.said);
	if (child.out >= 0)
		close(child.out);
	child.said = NULL;
	child.out = -1;
}

/* End of file: it is dead, or will be in a moment (it never closes its stdout) */
static void child_died(void)
{
	int status = 0;

	set_up(false);
	close_out();
	kill(child.pid, SIGKILL);
	while (waitpid(child.pid, &status, 0) < 0 && errno == EINTR)
		;
	child.pid = 0;
	if (clock_now() - child.started >= RDV_CHILD_GOOD)
		child.back = RDV_CHILD_BACK_MIN;
	if (WIFSIGNALED(status))
		log_warn("the embedded relay died by signal %d; starting it again in %u ms",
			 WTERMSIG(status), (unsigned int)(child.back / MS));
	else
		log_warn("the embedded relay ended with status %d (is port %d taken?); starting it again in %u ms",
			 WEXITSTATUS(status), PORT_RELAY, (unsigned int)(child.back / MS));
	start_later();
}

static void on_said(evutil_socket_t fd, short what, void *arg)
{
	char text[512];
	ssize_t n;

	(void)what;
	(void)arg;
	n = read(fd, text, sizeof(text));
	if (n > 0)
		set_up(true);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		child_died();
}

/* After fork(): only what is safe there */
static void child_exec(pid_t parent, int out)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	unsetenv("NOTIFY_SOCKET");	/* it is the rendezvous that says when it is ready */
	/* The parent may have died before prctl() */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent || dup2(out, STDOUT_FILENO) < 0)
		_exit(126);
	execv(child.program, child.argv);
	_exit(127);
}

/* In order if it can be, and in any case */
static void child_stop(void)
{
	uint64_t deadline = clock_now() + STOP_TIME;
	pid_t pid = 0;

	close_out();
	if (!child.pid)
		return;
	kill(child.pid, SIGTERM);
	while (pid != child.pid && clock_now() < deadline) {
		pid = waitpid(child.pid, NULL, WNOHANG);
		if (pid != child.pid)
			usleep(5 * 1000);
	}
	if (pid != child.pid) {
		kill(child.pid, SIGKILL);
		waitpid(child.pid, NULL, 0);
	}
	child.pid = 0;
}

static int child_start(void)
{
	pid_t parent = getpid();
	int out[2], err;

	if (pipe2(out, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	child.pid = fork();
	if (child.pid == 0)
		child_exec(parent, out[1]);
	err = child.pid < 0 ? -errno : 0;
	close(out[1]);
	if (err) {
		child.pid = 0;
		close(out[0]);
		return err;
	}
	child.starts++;
	child.started = clock_now();
	child.out = out[0];
	child.said = event_new(child.base, child.out, EV_READ | EV_PERSIST, on_said, NULL);
	if (!child.said || event_add(child.said, NULL)) {
		child_stop();
		return -ENOMEM;
	}
	log_info("embedded relay started, process %d", (int)child.pid);
	return 0;
}

/* punch-relay in the folder of this very program */
static int find_program(void)
{
	static const char name[] = "punch-relay";
	ssize_t size = readlink("/proc/self/exe", child.program, sizeof(child.program) - sizeof(name));
	char *slash;

	if (size < 0)
		return -errno;
	child.program[size] = '\0';
	slash = strrchr(child.program, '/');
	if (!slash)
		return -ENOENT;
	strcpy(slash + 1, name);
	return access(child.program, X_OK) ? -errno : 0;
}

/* The rendezvous may listen on several ports of one address */
static bool is_repeated(const struct endpoint *listen, unsigned int index)
{
	for (unsigned int i = 0; i < index; i++)
		if (endpoint_same_address(&listen[i], &listen[index]))
			return true;
	return false;
}

static void make_arguments(const struct endpoint *listen, unsigned int count, const char *secret)
{
	static char name[] = "punch-relay", opt_listen[] = "--listen", opt_secret[] = "--secret";
	static char verbose[] = "-v", debug[] = "-vv";
	char **argv = child.argv;
	struct endpoint ep;

	*argv++ = name;
	if (log_enabled(LOG_LEVEL_INFO))
		*argv++ = log_enabled(LOG_LEVEL_DEBUG) ? debug : verbose;
	for (unsigned int i = 0; i < count; i++) {
		if (!listen[i].family || is_repeated(listen, i))
			continue;
		ep = listen[i];
		ep.port = PORT_RELAY;
		endpoint_format(&ep, child.listen[i]);
		*argv++ = opt_listen;
		*argv++ = child.listen[i];
	}
	strcpy(child.secret, secret);
	*argv++ = opt_secret;
	*argv++ = child.secret;
	*argv = NULL;
}

int embedded_open(struct event_base *base, const struct endpoint *listen, unsigned int count,
		  const char *secret, void (*up)(bool is_up))
{
	int err = find_program();

	if (err)
		return err;
	make_arguments(listen, count, secret);
	child.base = base;
	child.up = up;
	child.back = RDV_CHILD_BACK_MIN;
	child.again = evtimer_new(base, on_again, NULL);
	if (!child.again)
		return -ENOMEM;
	event_active(child.again, EV_TIMEOUT, 0);
	return 0;
}

void embedded_close(void)
{
	if (child.again)
		event_free(child.again);
	child.again = NULL;
	child_stop();
}

bool embedded_is_up(void)
{
	return child.is_up;
}

uint64_t embedded_starts(void)
{
	return child.starts;
}
