/* SPDX-License-Identifier: MIT */
/*
 * porters.c - which porter gets which user's connection
 *
 * Theory of operation
 *
 * A place for each user who came lately, with his porter.  Connections go to him over his link as long as it has
 * room, and wait here while it has none.  What was sent is closed here, and then he is told so: only after
 * that he may close it, for whoever does so last waits.  One that fetches none of them for PORTER_STUCK is
 * held up by what he was passed, and is killed; so is the one with most connections waiting where too many
 * do.  What waited then is *swept*: the connections must not be closed by us, for the kernel would have us
 * wait for what lies in their queues.  So a child is forked, which has them too; we close ours, which is
 * nothing but a count; the child ends, and in a process that ends the kernel does not wait.
 *
 *	EMPTY --connection--> OPEN --idle--> LEAVING --reaped--> EMPTY
 *	                       `--stuck, died--> LEAVING
 *
 * LEAVING: a process can be kept from ending (by a file of a file system that its user serves: close() asks there).
 * Until it is reaped there is no other for this user, and what comes is swept, so that no user has more than one such.
 *
 * Where there are more users than places, those without one share another's, and his fate.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/local_internal.h"
#include "resolver/porter.h"
#include "resolver/porters.h"
#include "resolver/process.h"

#define PORTERS			16	/* users at one time: web, mail, database servers; attackers have one or two */
/* connections, of all users; a burst that comes while a porter is being started (20 ms) */
#define PORTER_WAITING		256
#define PORTER_STUCK_S		2	/* he fetches one in 0.05 ms; a host that swaps takes longer, not that long */
#define PORTER_START_S		30	/* until he is up: a program is loaded, which a host that swaps does slowly */
/* of SO_SNDBUF: 43 connections; all that are on their way count in RLIMIT_NOFILE */
#define PORTER_LINK_BYTES	16384
#define PORTER_LEAVE_MS		20	/* until he is looked at again: 1 ms is enough */
#define PORTER_LEAVE_MAX_MS	1000

enum porter_state {
	PORTER_EMPTY,		/* nobody came lately; there is no process */
	PORTER_OPEN,		/* its process takes connections */
	PORTER_LEAVING,		/* it was let go or killed, and is not reaped yet */
	PORTER_STATE_COUNT
};

static const char *const porter_names[] = { "empty", "open", "leaving" };
static_assert(sizeof(porter_names) / sizeof(porter_names[0]) == PORTER_STATE_COUNT, "one name a state");

/**
 * struct porter
 * @until:	he must be up by then (clock_now()); 0: he is
 * @sent:	connections, as he counts them
 * @untold:	he does not know yet that what he was sent is closed here
 * @waiting:	@waiting_count connections that he has not been sent
 * @writable:	pending while some wait, or @untold
 * @look:	OPEN: has he fetched any since @seen_sent and @seen_bytes?  LEAVING: has he left?
 */
struct porter {
	struct porters *porters;
	enum porter_state state;
	uid_t uid;
	pid_t pid;
	int link;
	uint64_t until;
	uint32_t sent;
	bool untold;
	int waiting[PORTER_WAITING];
	unsigned int waiting_count;
	struct event *readable, *writable, *look;
	unsigned int leave_ms;
	uint32_t seen_sent;
	int seen_bytes;
};

struct porters {
	struct node *node;
	unsigned int waiting;		/* of all */
	struct porter list[PORTERS];
};

/* From each state there is one way on */
static void porter_set_state(struct porter *porter, enum porter_state state)
{
	assert(state == (porter->state + 1) % PORTER_STATE_COUNT);
	log_debug("porter of user %u: %s -> %s", (unsigned int)porter->uid, porter_names[porter->state],
		  porter_names[state]);
	porter->state = state;
}

/* ------------------------------------------------------------ the end of one */

/* The child: until our copies are closed */
static _Noreturn void hold_until(int end)
{
	char byte;

	while (read(end, &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static void sweep(struct porter *porter)
{
	int ends[2] = { -1, -1 };
	unsigned int i;
	pid_t pid;

	if (!porter->waiting_count)
		return;
	pid = pipe2(ends, O_CLOEXEC) < 0 ? -1 : fork();
	if (pid == 0) {
		close(ends[1]);
		hold_until(ends[0]);
	}
	if (pid < 0)
		log_warn("cannot start a process to close connections of user %u: %s", (unsigned int)porter->uid,
			 strerror(errno));
	for (i = 0; i < porter->waiting_count; i++)
		close(porter->waiting[i]);
	porter->porters->waiting -= porter->waiting_count;
	porter->waiting_count = 0;
	for (i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			close(ends[i]);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void look_again(struct porter *porter)
{
	struct timeval pause = { .tv_sec = porter->leave_ms / 1000, .tv_usec = porter->leave_ms % 1000 * 1000 };

	event_add(porter->look, &pause);
	porter->leave_ms = porter->leave_ms * 2 < PORTER_LEAVE_MAX_MS ? porter->leave_ms * 2 : PORTER_LEAVE_MAX_MS;
}

static void shut(struct porter *porter)
{
	if (porter->readable)
		event_free(porter->readable);
	if (porter->writable)
		event_free(porter->writable);
	porter->readable = porter->writable = NULL;
	if (porter->link >= 0)
		close(porter->link);
	porter->link = -1;
}

static void leave(struct porter *porter)
{
	shut(porter);
	porter_set_state(porter, PORTER_LEAVING);
	porter->leave_ms = PORTER_LEAVE_MS;
	look_again(porter);
}

static void stuck(struct porter *porter)
{
	static struct log_limit limit;

	if (log_limited(&limit))
		log_warn("what user %u passes to the resolver holds up the process that receives it: his connections "
			 "are closed", (unsigned int)porter->uid);
	kill(porter->pid, SIGKILL);
	leave(porter);
	sweep(porter);
}

/* ------------------------------------------------------------ the link */

/* What is in the link, by the kernel's own measure; 0: he has fetched all of it */
static int link_bytes(const struct porter *porter)
{
	int bytes = 0;

	return ioctl(porter->link, SIOCOUTQ, &bytes) < 0 ? 0 : bytes;
}

static void look_later(struct porter *porter)
{
	const struct timeval limit = { .tv_sec = PORTER_STUCK_S };

	porter->seen_sent = porter->sent;
	porter->seen_bytes = link_bytes(porter);
	event_add(porter->look, &limit);
}

/* Has he stopped to fetch? */
static void look_at(struct porter *porter)
{
	int bytes = link_bytes(porter);

	if (bytes && bytes == porter->seen_bytes && porter->sent == porter->seen_sent && clock_now() >= porter->until)
		stuck(porter);
	else if (bytes)
		look_later(porter);
}

static void send_waiting(struct porter *porter)
{
	const char connection = PORTER_CONNECTION, closed = PORTER_CLOSED;
	unsigned int i = 0;

	while (i < porter->waiting_count && local_send(porter->link, &connection, 1, porter->waiting[i]) == 0)
		close(porter->waiting[i++]);	/* he has it too: nothing but a count */
	porter->untold = (porter->untold || i) && local_send(porter->link, &closed, 1, -1) < 0;
	porter->sent += i;
	porter->porters->waiting -= i;
	porter->waiting_count -= i;
	memmove(porter->waiting, porter->waiting + i, porter->waiting_count * sizeof(*porter->waiting));
	if (porter->waiting_count || porter->untold)
		event_add(porter->writable, NULL);
	else
		event_del(porter->writable);
	if (!event_pending(porter->look, EV_TIMEOUT, NULL))
		look_later(porter);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_waiting(arg);
}

/* What he does not fetch from now on is not for want of a start */
static void up(struct porter *porter)
{
	porter->until = 0;
	look_later(porter);
}

static void on_word(evutil_socket_t fd, short what, void *arg)
{
	struct porter *porter = arg;
	struct porter_idle idle = { 0 };
	int pass;
	ssize_t n = local_recv(fd, &idle, sizeof(idle), &pass);

	(void)what;
	if (n == -EAGAIN || n == -EMFILE)
		return;
	if (pass >= 0)
		local_handed_in(porter->porters->node->local, pass);
	else if (n == 1)
		up(porter);
	else if (n <= 0 || (n == (ssize_t)sizeof(idle) && idle.handled == porter->sent && !porter->waiting_count))
		leave(porter);
}

/* Executed anew: a mere copy of us would have our keys. Return: 0 or -errno */
static int start(struct porter *porter)
{
	static char name[] = "punch-porter", option[] = "--porter";
	char *const argv[] = { name, option, NULL };
	struct node *node = porter->porters->node;
	const int bytes = PORTER_LINK_BYTES;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	porter->pid = process_start(argv, &ends[1], 1, true);
	close(ends[1]);
	porter->link = ends[0];
	porter->sent = 0;
	porter->until = clock_now() + PORTER_START_S * SECOND;
	porter->untold = false;
	evutil_make_socket_nonblocking(porter->link);
	porter->readable = event_new(node->base, porter->link, EV_READ | EV_PERSIST, on_word, porter);
	porter->writable = event_new(node->base, porter->link, EV_WRITE | EV_PERSIST, on_writable, porter);
	if (porter->pid < 0) {
		shut(porter);
		return (int)porter->pid;
	}
	local_send(porter->link, node->token, LOCAL_TOKEN, -1);	/* there is room: it is the first */
	porter_set_state(porter, PORTER_OPEN);
	if (porter->readable && porter->writable && event_add(porter->readable, NULL) == 0)
		return 0;
	leave(porter);
	return -ENOMEM;
}

/* Something waits for him */
static void proceed(struct porter *porter)
{
	int rc = porter->state == PORTER_EMPTY ? start(porter) : 0;

	if (porter->state == PORTER_OPEN)
		send_waiting(porter);
	else if (rc < 0)
		sweep(porter);
}

/* Too many wait: at whose place there are most */
static void relieve(struct porters *porters)
{
	struct porter *most = &porters->list[0];
	unsigned int i;

	for (i = 1; i < PORTERS; i++) {
		if (porters->list[i].waiting_count > most->waiting_count)
			most = &porters->list[i];
	}
	if (most->state == PORTER_OPEN)
		stuck(most);
	else
		sweep(most);
}

/* Has he left? */
static void look_after(struct porter *porter)
{
	static struct log_limit limit;
	int status = 0;

	if (waitpid(porter->pid, &status, WNOHANG) == 0) {
		if (porter->leave_ms == PORTER_LEAVE_MAX_MS)	/* not a matter of a moment */
			sweep(porter);
		look_again(porter);
		return;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == PROCESS_CANNOT && log_limited(&limit))
		log_warn("punch-resolver cannot be executed again: programs of other users are not served");
	porter_set_state(porter, PORTER_EMPTY);
	if (porter->waiting_count)
		proceed(porter);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct porter *porter = arg;

	(void)fd;
	(void)what;
	if (porter->state == PORTER_OPEN)
		look_at(porter);
	else if (porter->state == PORTER_LEAVING)
		look_after(porter);
}

/* ------------------------------------------------------------ all of them */

static struct porter *place_for(struct porters *porters, uid_t uid)
{
	struct porter *empty = NULL;
	unsigned int i;

	for (i = 0; i < PORTERS; i++) {
		struct porter *porter = &porters->list[i];

		if (porter->state != PORTER_EMPTY && porter->uid == uid)
			return porter;
		if (porter->state == PORTER_EMPTY && !empty)
			empty = porter;
	}
	if (!empty)
		return &porters->list[uid % PORTERS];
	empty->uid = uid;
	return empty;
}

void porters_take(struct porters *porters, uid_t uid, int fd)
{
	struct porter *porter = place_for(porters, uid);

	porter->waiting[porter->waiting_count++] = fd;
	porters->waiting++;
	proceed(porter);
	if (porters->waiting >= local_foreign_limit(PORTER_WAITING))
		relieve(porters);
}

struct porters *porters_new(struct node *node)
{
	struct porters *porters = calloc(1, sizeof(*porters));
	unsigned int i;

	if (!porters)
		return NULL;
	porters->node = node;
	for (i = 0; i < PORTERS; i++) {
		porters->list[i].porters = porters;
		porters->list[i].link = -1;
		porters->list[i].look = event_new(node->base, -1, 0, on_look, &porters->list[i]);
		if (!porters->list[i].look) {
			porters_free(porters);
			return NULL;
		}
	}
	return porters;
}

void porters_free(struct porters *porters)
{
	unsigned int i;

	if (!porters)
		return;
	for (i = 0; i < PORTERS; i++) {
		struct porter *porter = &porters->list[i];

		if (porter->state == PORTER_OPEN)
			kill(porter->pid, SIGKILL);
		sweep(porter);
		shut(porter);
		if (porter->look)
			event_free(porter->look);
	}
	free(porters);
}
