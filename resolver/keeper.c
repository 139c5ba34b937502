/* SPDX-License-Identifier: MIT */
/*
 * keeper.c - the process that holds the resolver's name and starts it again when it dies
 *
 * Theory of operation
 *
 * In the background a resolver is two processes.  The keeper binds the name,
 * listens, and waits; it parses nothing, so there is little that could kill it.  The
 * worker, forked from it, inherits the listening socket and does all the work.
 *
 *	program --fork--> starter  (binds the name; exits 0 once it listens)
 *	                     `--fork--> keeper
 *	                                  `--fork--> worker, worker, ...
 *
 * Both hold an end of a socket pair, the link.  The kernel closes it with its
 * process, so each learns of the other's death at once, whoever is whose parent:
 *
 *	worker dies          end of file at the keeper: it starts the next one after a pause
 *	                     of 0.1 s, doubled up to 5 s while they die young
 *	worker leaves        writes STOP before: the keeper closes the listener and leaves too, which is the
 *	                     sign for the worker that the name is free
 *	worker wants a new   writes RESTART: the next one starts at once and reads
 *	  configuration      the file anew
 *	keeper dies          end of file at the worker: it goes on serving, for it has the listening
 *	                     socket too, and executes a new keeper (--keeper), which gets
 *	                     the listener and a new link and is like the old one but for its parent
 *	keeper is told to    (SIGTERM, SIGINT) it writes STOP, the worker leaves in
 *	  leave              order, the keeper after it
 *
 * While no worker runs, connections wait in the listener's backlog; that is why a
 * killed resolver costs a program no more than a pause.
 *
 * Two starters at once: one of them gets the name, the other finds it taken, asks there for
 * the configuration, and is content when it is its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/owner.h"
#include "resolver/keeper.h"
#include "resolver/process.h"

#define KEEPER_BACKLOG		1024	/* as many as a worker serves at one time */
#define KEEPER_ASK_S		5	/* a resolver answers STATUS in 1 ms, while it starts in 0.3 s (scrypt) */
#define KEEPER_GONE_MS		500	/* a resolver that leaves refuses for some ms before its name is free */
#define KEEPER_GONE_STEP_MS	10
#define KEEPER_PAUSE_MS		100	/* before the next worker; no user waits longer than this for a lone crash */
#define KEEPER_PAUSE_MAX_MS	5000	/* a worker that cannot live must not burn the processor */
#define KEEPER_LIVED		(10 * SECOND)	/* a worker older than this did not die of its start */
#define KEEPER_LEAVE_MS		2000	/* a worker that was told to leave and hangs is killed after it */

/* ------------------------------------------------------------ the name */

enum neighbour {
	NEIGHBOUR_SAME,		/* serves our configuration */
	NEIGHBOUR_OTHER,	/* another user's, or another configuration */
	NEIGHBOUR_GONE,		/* refuses or hung up: it is leaving */
	NEIGHBOUR_SILENT,	/* ours, but does not answer */
};

/* @kind: LOCAL_STATUS, or LOCAL_YIELD: then NEIGHBOUR_SAME means that it has left */
static enum neighbour judge_answer(int fd, const struct local_config *config, enum local_kind kind)
{
	struct local_request request;
	struct local_reply reply;
	int pass = -1, rc;
	ssize_t n;

	memset(&request, 0, sizeof(request));
	request.magic = LOCAL_MAGIC;
	request.kind = kind;
	request.config = *config;
	rc = local_send(fd, &request, sizeof(request), -1);
	n = rc < 0 ? rc : local_recv(fd, &reply, sizeof(reply), &pass);
	if (pass >= 0)
		close(pass);
	if (n == -EAGAIN)
		return NEIGHBOUR_SILENT;
	if (n == -EMSGSIZE || (n > 0 && (n != (ssize_t)sizeof(reply) || reply.magic != LOCAL_MAGIC)))
		return NEIGHBOUR_OTHER;		/* another version of punch */
	if (n <= 0)
		return NEIGHBOUR_GONE;
	return reply.status == LOCAL_OK ? NEIGHBOUR_SAME : NEIGHBOUR_OTHER;
}

static enum neighbour ask_neighbour(const struct sockaddr_un *sun, socklen_t size, const struct local_config *config,
				    enum local_kind kind)
{
	const struct timeval limit = { .tv_sec = KEEPER_ASK_S };
	enum neighbour result = NEIGHBOUR_GONE;
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;
	uid_t owner;

	if (fd < 0)
		return NEIGHBOUR_OTHER;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	rc = connect(fd, (const struct sockaddr *)sun, size);
	fcntl(fd, F_SETFL, 0);
	if (rc < 0 && errno == EAGAIN) {	/* anybody can fill a queue: only our own user's is worth waiting for */
		if (owner_of(sun, size, &owner) < 0 || owner != geteuid()) {
			close(fd);
			return NEIGHBOUR_OTHER;
		}
		rc = connect(fd, (const struct sockaddr *)sun, size);
	}
	if (rc < 0)
		result = errno == EAGAIN ? NEIGHBOUR_SILENT : errno == EPROTOTYPE ? NEIGHBOUR_OTHER : NEIGHBOUR_GONE;
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != geteuid())
		result = NEIGHBOUR_OTHER;	/* squatting: not a word to it */
	else
		result = judge_answer(fd, config, kind);
	close(fd);
	return result;
}

static int bind_one(const struct sockaddr_un *sun, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)sun, size) == 0 && listen(fd, KEEPER_BACKLOG) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* One place. Return: socket, -EALREADY, -ETIMEDOUT, -EADDRINUSE: try the next place, or -errno */
static int bind_place(const struct local_config *config, unsigned int n)
{
	struct sockaddr_un sun;
	int size = local_address(&sun, geteuid(), config, n), waited = 0, rc;

	if (size < 0)
		return size;
	for (;;) {
		rc = bind_one(&sun, (socklen_t)size);
		if (rc != -EADDRINUSE)
			return rc;
		switch (ask_neighbour(&sun, (socklen_t)size, config, LOCAL_STATUS)) {
		case NEIGHBOUR_SAME:
			return -EALREADY;
		case NEIGHBOUR_SILENT:
			return -ETIMEDOUT;
		case NEIGHBOUR_OTHER:
			return -EADDRINUSE;
		case NEIGHBOUR_GONE:
			break;
		}
		if (waited >= KEEPER_GONE_MS)
			return -EADDRINUSE;	/* somebody sits there and does not listen */
		poll(NULL, 0, KEEPER_GONE_STEP_MS);
		waited += KEEPER_GONE_STEP_MS;
	}
}

/*
 * All places are taken: with many words under one name, by resolvers of our own user.  The first of them
 * that has nothing to do makes room.  Return: as bind_place()
 */
static int take_over(const struct local_config *config)
{
	struct sockaddr_un sun;
	int size, rc = -EADDRINUSE;
	unsigned int n;

	for (n = 0; n < LOCAL_NAMES && rc == -EADDRINUSE; n++) {
		size = local_address(&sun, geteuid(), config, n);
		if (size > 0 && ask_neighbour(&sun, (socklen_t)size, config, LOCAL_YIELD) == NEIGHBOUR_SAME)
			rc = bind_place(config, n);
	}
	return rc;
}

int keeper_bind(const struct local_config *config, char *why, size_t size)
{
	unsigned int n;
	int rc = -EADDRINUSE;

	for (n = 0; n < LOCAL_NAMES && rc == -EADDRINUSE; n++)
		rc = bind_place(config, n);
	if (rc == -EADDRINUSE)
		rc = take_over(config);
	if (rc == -EADDRINUSE && config->secret[0])
		snprintf(why, size, "%d resolvers for PUNCH_AS=%s run already, with other words or servers, and all "
			 "have something to do: see \"punchctl stop --all\"", LOCAL_NAMES, config->as);
	else if (rc == -EADDRINUSE)
		snprintf(why, size, "all %d places for a resolver of user %u with this configuration are taken by "
			 "other programs", LOCAL_NAMES, (unsigned int)geteuid());
	else if (rc == -ETIMEDOUT)
		snprintf(why, size, "a resolver of this configuration runs but does not answer within %d s: "
			 "is it stopped?", KEEPER_ASK_S);
	else if (rc < 0 && rc != -EALREADY)
		snprintf(why, size, "cannot listen for requests (abstract Unix socket): %s", strerror(-rc));
	return rc;
}

/* ------------------------------------------------------------ the keeper */

struct keeper {
	int listener;
	int link;		/* -1: no worker */
	int signals;
	pid_t worker;		/* 0: not our child */
	uint64_t started;
	int pause_ms;
};

static int link_make(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGHUP, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* In a new worker: nothing of the keeper stays */
static void become_worker(const struct keeper *keeper, int theirs)
{
	sigset_t none;

	close(theirs);
	close(keeper->signals);
	signal(SIGHUP, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	process_title("punch-resolver", "punch-resolver");
}

/* Return: in the worker its end of the link; in the keeper -1, with keeper->link set when it went well */
static int start_worker(struct keeper *keeper)
{
	int ends[2], rc = link_make(ends);
	pid_t pid;

	if (rc < 0) {
		log_error("keeper: cannot start a worker: %s", strerror(-rc));
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		become_worker(keeper, ends[0]);
		return ends[1];
	}
	if (pid < 0) {
		log_error("keeper: cannot start a worker: %s", strerror(errno));
		close(ends[0]);
	} else {
		keeper->link = ends[0];
		keeper->worker = pid;
		keeper->started = clock_now();
	}
	close(ends[1]);
	return -1;
}

/* The next one is started after this: it must find what this one saves when it leaves */
static void worker_gone(struct keeper *keeper)
{
	struct pollfd link = { .fd = keeper->link };
	int status;

	if (keeper->worker <= 0)	/* not our child.  Its end of the link is the last thing that it closes */
		poll(&link, 1, KEEPER_LEAVE_MS);
	close(keeper->link);
	keeper->link = -1;
	if (keeper->worker <= 0)
		return;
	/* Its link is closed but a moment before it can be waited for */
	while (waitpid(keeper->worker, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		log_warn("keeper: the resolver (%d) was ended by signal %d (%s), starting it again",
			 (int)keeper->worker, WTERMSIG(status), strsignal(WTERMSIG(status)));
	keeper->worker = 0;
}

/* Wait for a word of the worker or a signal to us. Return: the word, 0 the worker died,
 * KEEPER_STOP for a signal, -1 time is over */
static int listen_to(const struct keeper *keeper, int timeout_ms, bool *told)
{
	struct pollfd fds[] = {
		{ .fd = keeper->signals, .events = POLLIN },
		{ .fd = keeper->link, .events = POLLIN },
	};
	unsigned char word = 0;

	*told = false;
	if (poll(fds, 2, timeout_ms) <= 0)
		return -1;
	if (fds[0].revents & POLLIN) {
		*told = true;
		return KEEPER_STOP;
	}
	if (fds[1].revents && recv(keeper->link, &word, 1, 0) <= 0)
		return 0;
	return word;
}

/* SIGTERM came: let the worker leave in order, but not for ever */
static void dismiss(struct keeper *keeper)
{
	const unsigned char word = KEEPER_STOP;
	struct pollfd pollfd = { .fd = keeper->link, .events = POLLIN };

	if (keeper->link < 0)
		return;
	send(keeper->link, &word, 1, MSG_NOSIGNAL);
	if (poll(&pollfd, 1, KEEPER_LEAVE_MS) == 0 && keeper->worker > 0)
		kill(keeper->worker, SIGKILL);
}

static int next_pause(const struct keeper *keeper, int word)
{
	if (word == KEEPER_RESTART)
		return 0;
	if (clock_now() - keeper->started > KEEPER_LIVED || keeper->pause_ms < KEEPER_PAUSE_MS)
		return KEEPER_PAUSE_MS;
	return keeper->pause_ms * 2 < KEEPER_PAUSE_MAX_MS ? keeper->pause_ms * 2 : KEEPER_PAUSE_MAX_MS;
}

/* One worker's life. Return: true to start the next one */
static bool watch(struct keeper *keeper)
{
	bool told;
	int word;

	do {
		word = listen_to(keeper, -1, &told);
	} while (word == -1);
	if (told)
		dismiss(keeper);
	if (word == KEEPER_STOP)
		return false;
	worker_gone(keeper);
	keeper->pause_ms = next_pause(keeper, word);
	return true;
}

/* Return: false when we were told to leave meanwhile */
static bool pause_for(const struct keeper *keeper)
{
	bool told = false;

	if (keeper->pause_ms)
		listen_to(keeper, keeper->pause_ms, &told);
	return !told;
}

int keeper_run(int listener, int link)
{
	struct keeper keeper = { .listener = listener, .link = link, .started = clock_now() };
	int worker;

	process_title("punch-keeper", "punch-keeper");
	keeper.signals = open_signals();
	while (keeper.link >= 0 || pause_for(&keeper)) {
		if (keeper.link < 0) {
			worker = start_worker(&keeper);
			if (worker >= 0)
				return worker;
		}
		if (keeper.link < 0)
			keeper.pause_ms = KEEPER_PAUSE_MAX_MS;	/* no memory for a process */
		else if (!watch(&keeper))
			break;
	}
	close(listener);	/* at once: the worker takes our end for the sign that the name is free */
	exit(0);
}

int keeper_renew(int listener, pid_t *pid)
{
	static char name[] = "punch-keeper", option[] = "--keeper";
	char *const argv[] = { name, option, NULL };
	int ends[2], rc = link_make(ends);

	if (rc < 0)
		return rc;
	*pid = process_start(argv, (const int[]){ listener, ends[0] }, 2, false);
	close(ends[0]);
	if (*pid > 0)
		return ends[1];
	close(ends[1]);
	return (int)*pid;
}
