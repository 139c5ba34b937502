/* SPDX-License-Identifier: MIT */
/*
 * life.c - when this process ends, and what happens to its keeper
 *
 * Theory of operation
 *
 * RUNNING -> CLOSING: the listener is shut (clients get ECONNREFUSED and start or find
 * another resolver), the keeper is told, and we wait until it has let go
 * of the listener too, at most LIFE_KEEPER.  CLOSING -> LEAVING: the name is free; who asked for it
 * is told so, and the loop ends with this turn.
 *
 * Reasons: LOCAL_STOP; the keeper was told to leave; nothing published, under way or asked for
 * since PUNCH_IDLE; and a changed configuration file.
 *
 * The file is compared (size, time, inode) with what it was at the start, at
 * each request and, while something is published, every LIFE_CHECK.  A changed one is parsed; a broken
 * one is complained about once and the old settings stay in force, but it is tried again every LIFE_CHECK: what
 * was wrong may have been the moment (no descriptors, a key file that others could read), and a revocation must
 * not be lost for it; a good one makes the process leave as soon as nothing is under way, for the keeper to start
 * it again.  Its requests wait in the backlog for that moment, connections that exist are not touched: a fresh
 * process is a simpler thing than one whose peers, keys and servers change under it.  Only those of a peer that
 * is none any more, or not allowed any more, are ended at once (revoke.h), and by the fresh process once more,
 * for those that were made meanwhile.  While a keeper that died is being replaced, it waits for the new one.  In the
 * foreground, where there is no keeper, main() executes itself, and buries children of before as they end.
 */
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "resolver/connections_internal.h"
#include "resolver/doorbell_internal.h"
#include "resolver/drain.h"
#include "resolver/keeper.h"
#include "resolver/life.h"
#include "resolver/load.h"
#include "resolver/local_internal.h"
#include "resolver/parked.h"
#include "resolver/process.h"
#include "resolver/revoke.h"
#include "resolver/services.h"
#include "resolver/session.h"
#include "resolver/splice.h"

#define LIFE_IDLE_S	600	/* ten minutes: a shell session's pauses; a start costs 20 to 300 ms */
#define LIFE_IDLE_PARTS	10	/* idleness is looked at this often in its time */
#define LIFE_LOOK_MAX_S	60
#define LIFE_CHECK_S	5	/* a new [peer] may call this soon after the file was saved */
#define LIFE_OWED	(5 * SECOND)	/* who was woken by a failure asks for the reason within milliseconds */
#define LIFE_KEEPER_S	1	/* the keeper leaves within a millisecond; a stopped one must not hold us */
#define LIFE_RENEW_MIN_S 1	/* a keeper that dies at once is started again after a pause, doubled up to: */
#define LIFE_RENEW_MAX_S 60

static const char *const life_names[] = { "running", "closing", "leaving" };
static_assert(sizeof(life_names) / sizeof(life_names[0]) == LIFE_STATE_COUNT, "each state has a name");

/* What tells one version of a file from another */
struct version {
	struct timespec changed;
	off_t size;
	ino_t inode;
	dev_t device;
};

struct life {
	struct node *node;
	enum life_state state;
	enum life_end end;
	int keeper;			/* link, -1 none */
	pid_t keeper_pid;
	bool keeper_is_child;
	uint64_t keeper_since;
	unsigned int renew_s;
	struct event *word, *renew, *look, *check, *close;
	uint64_t idle;			/* us */
	uint64_t used;			/* clock_now() when last busy */
	struct version version;		/* of the configuration in force */
	struct version seen;		/* of the last one that was parsed */
	bool good;			/* that one could be used */
	uint64_t tried;			/* clock_now() of it */
	uint64_t owed;			/* clock_now() when reasons alone kept it out for the first time, or 0 */
	char complaint[LOAD_WHY];	/* about it */
};

static void life_set_state(struct life *life, enum life_state state)
{
	assert(state == life->state + 1);
	log_debug("resolver: %s -> %s", life_names[life->state], life_names[state]);
	life->state = state;
}

/* ------------------------------------------------------------ is there anything to do? */

bool node_receives(const struct node *node)
{
	return services_count(node) > 0;
}

/* Things that would be lost with this process */
static unsigned int work_count(const struct node *node)
{
	return local_trusted(node->local) + parked_count(node->parked) + doorbells_count(node->doorbells) +
	       splices_count(node->splices) + drains_count(node->drains) +
	       (node->sessions ? sessions_count(node->sessions) : 0);
}

static bool under_way(const struct node *node)
{
	return work_count(node) > 0;
}

bool node_busy(const struct node *node)
{
	return node_receives(node) || under_way(node);
}

void life_touch(struct node *node)
{
	node->life->used = clock_now();
}

/* ------------------------------------------------------------ leaving */

static void life_leave(struct life *life)
{
	if (life->state == LIFE_LEAVING)
		return;
	life_set_state(life, LIFE_LEAVING);
	local_stopped(life->node->local);
	event_base_loopexit(life->node->base, NULL);
}

static void life_close(struct life *life, enum life_end end)
{
	const struct timeval limit = { .tv_sec = LIFE_KEEPER_S };
	const unsigned char word = end == LIFE_END_RESTART ? KEEPER_RESTART : KEEPER_STOP;

	if (life->state != LIFE_RUNNING)
		return;
	life_set_state(life, LIFE_CLOSING);
	life->end = end;
	if (end == LIFE_END_STOP)
		local_close(life->node->local);
	if (life->keeper < 0 || send(life->keeper, &word, 1, MSG_NOSIGNAL) < 0 || end == LIFE_END_RESTART)
		life_leave(life);
	else
		event_add(life->close, &limit);
}

static void on_close(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	life_leave(arg);
}

void life_stop(struct node *node)
{
	log_info("asked to stop");
	life_close(node->life, LIFE_END_STOP);
}

bool life_yield(struct node *node)
{
	if (node_receives(node) || work_count(node) > 1)
		return false;
	log_info("asked to leave the place to another configuration");
	life_close(node->life, LIFE_END_STOP);
	return true;
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct life *life = arg;
	uint64_t now = clock_now();

	(void)fd;
	(void)what;
	local_take(life->node->local);		/* of what waits there only our own user's counts */
	if (node_busy(life->node))
		life->used = now;
	if (now - life->used < life->idle)
		return;
	log_info("nothing to do for %llu s, leaving", (unsigned long long)(life->idle / SECOND));
	life_close(life, LIFE_END_STOP);
}

/* ------------------------------------------------------------ a new configuration */

static void version_take(const struct stat *st, struct version *version)
{
	memset(version, 0, sizeof(*version));
	version->changed = st->st_mtim;
	version->size = st->st_size;
	version->inode = st->st_ino;
	version->device = st->st_dev;
}

/* A file that is missing (an editor renames) differs from any, and then fails to load */
static void version_of(const char *path, struct version *version)
{
	struct stat st;

	if (stat(path, &st) < 0)
		memset(&st, 0, sizeof(st));
	version_take(&st, version);
}

static void next_free(struct node *node)
{
	if (node->next)
		conf_node_free(node->next);
	free(node->next);
	node->next = NULL;
}

/* The new settings. Return: false when they cannot be had now */
static bool next_take(struct node *node, char *why, size_t size)
{
	struct conf_error error;

	next_free(node);
	if (load_check(&node->config, why, size) < 0)
		return false;
	node->next = calloc(1, sizeof(*node->next));
	if (!node->next) {
		snprintf(why, size, "%s", strerror(ENOMEM));
		return false;
	}
	if (conf_node_load(node->next, node->config.path, &error) == 0)
		return true;
	snprintf(why, size, "%s", error.text);
	next_free(node);
	return false;
}

/* A version that was not seen, or could not be used when it was */
static void look_at(struct life *life, const struct version *now)
{
	char why[LOAD_WHY] = "";

	life->seen = *now;
	life->tried = clock_now();
	life->good = next_take(life->node, why, sizeof(why));
	if (life->good)
		log_info("%s has changed", life->node->config.path);
	else if (strcmp(why, life->complaint) != 0)
		log_warn("%s; the settings of before stay in force", why);
	memcpy(life->complaint, why, sizeof(why));
}

/* The file in force again, moved aside and back, perhaps: nothing waits, and nothing is wrong */
static void go_back(struct life *life)
{
	life->seen = life->version;
	next_free(life->node);
	life->complaint[0] = '\0';
	life->owed = 0;
}

/* Of a program that fails and never asks why there is always one more: it does not keep a new file out for ever */
static bool owes_yet(struct life *life)
{
	if (!parked_owes(life->node->parked))
		return false;
	if (!life->owed)
		life->owed = clock_now();
	return clock_now() - life->owed < LIFE_OWED;
}

/* It has died, and another one is to be started: until then nobody would start us again */
static bool keeper_is_missed(const struct life *life)
{
	char byte;

	return event_pending(life->renew, EV_TIMEOUT, NULL) ||
	       (life->keeper >= 0 && recv(life->keeper, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

bool life_config_changed(struct node *node)
{
	struct life *life = node->life;
	struct version now;

	if (node->quick_mode || life->state != LIFE_RUNNING)
		return life->end == LIFE_END_RESTART;
	version_of(node->config.path, &now);
	if (memcmp(&now, &life->version, sizeof(now)) == 0) {
		if (memcmp(&now, &life->seen, sizeof(now)) != 0)
			go_back(life);
		return false;
	}
	if (memcmp(&now, &life->seen, sizeof(now)) != 0 ||
	    (!life->good && clock_now() - life->tried >= LIFE_CHECK_S * SECOND))
		look_at(life, &now);
	if (!life->good)
		return false;
	revoke_connections(node, node->next);
	if (under_way(node) || owes_yet(life) || keeper_is_missed(life))
		return false;
	life_close(life, LIFE_END_RESTART);
	return true;
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct life *life = arg;

	(void)fd;
	(void)what;
	process_bury();
	if (node_receives(life->node) || connections_open(life->node))
		life_config_changed(life->node);
}

/* ------------------------------------------------------------ the keeper */

static void on_word(evutil_socket_t fd, short what, void *arg);

static int watch_keeper(struct life *life, int link)
{
	life->keeper = link;
	life->word = event_new(life->node->base, link, EV_READ | EV_PERSIST, on_word, life);
	if (!life->word || event_add(life->word, NULL) < 0)
		return -ENOMEM;
	evutil_make_socket_nonblocking(link);
	life->keeper_since = clock_now();
	return 0;
}

static void forget_keeper(struct life *life)
{
	if (life->word)
		event_free(life->word);
	life->word = NULL;
	if (life->keeper >= 0)
		close(life->keeper);
	life->keeper = -1;
	if (life->keeper_is_child)
		waitpid(life->keeper_pid, NULL, 0);	/* its link is closed: it is as good as dead */
	life->keeper_is_child = false;
	life->keeper_pid = 0;
}

/* At once the first time */
static void renew_later(struct life *life)
{
	const struct timeval pause = { .tv_sec = life->renew_s };

	life->renew_s = life->renew_s ? life->renew_s * 2 : LIFE_RENEW_MIN_S;
	if (life->renew_s > LIFE_RENEW_MAX_S)
		life->renew_s = LIFE_RENEW_MAX_S;
	event_add(life->renew, &pause);
}

static void on_renew(evutil_socket_t fd, short what, void *arg)
{
	struct life *life = arg;
	int link;

	(void)fd;
	(void)what;
	link = keeper_renew(local_listener(life->node->local), &life->keeper_pid);
	life->keeper_is_child = link >= 0;
	if (link >= 0 && watch_keeper(life, link) == 0)
		return;
	log_error("cannot start a keeper: %s", strerror(link < 0 ? -link : ENOMEM));
	if (link >= 0)
		kill(life->keeper_pid, SIGKILL);	/* it would start another worker */
	forget_keeper(life);
	renew_later(life);
}

/* It was killed: start another one */
static void keeper_died(struct life *life)
{
	if (clock_now() - life->keeper_since > LIFE_RENEW_MAX_S * SECOND)
		life->renew_s = 0;
	log_warn("the keeper died, starting another one");
	forget_keeper(life);
	renew_later(life);
}

static void on_word(evutil_socket_t fd, short what, void *arg)
{
	struct life *life = arg;
	unsigned char word;
	ssize_t n;

	(void)what;
	n = recv(fd, &word, 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		if (word == KEEPER_STOP)
			life_close(life, LIFE_END_STOP);
	} else if (life->state == LIFE_RUNNING) {
		keeper_died(life);
	} else {
		forget_keeper(life);
		life_leave(life);
	}
}

/* ------------------------------------------------------------ */

static uint64_t idle_limit(void)
{
	const char *text = secure_getenv("PUNCH_IDLE");
	unsigned long seconds;
	char *end;

	if (!text || !*text)
		return LIFE_IDLE_S * SECOND;
	seconds = strtoul(text, &end, 10);
	if (*end || seconds < 1 || seconds > 86400UL * 365) {
		log_warn("PUNCH_IDLE=%s: seconds are wanted, 1 to 31536000; %d is used", text, LIFE_IDLE_S);
		return LIFE_IDLE_S * SECOND;
	}
	return seconds * SECOND;
}

struct life *life_new(struct node *node, int keeper, const struct stat *conf)
{
	const struct timeval check = { .tv_sec = LIFE_CHECK_S };
	struct life *life = calloc(1, sizeof(*life));
	struct timeval look = { 0 };
	uint64_t step;

	if (!life) {
		if (keeper >= 0)
			close(keeper);
		return NULL;
	}
	life->node = node;
	life->keeper = keeper;
	life->keeper_pid = keeper >= 0 ? getppid() : 0;
	life->used = clock_now();
	life->idle = idle_limit();
	version_take(conf, &life->version);
	life->seen = life->version;
	life->renew = event_new(node->base, -1, 0, on_renew, life);
	life->look = event_new(node->base, -1, EV_PERSIST, on_look, life);
	life->check = event_new(node->base, -1, EV_PERSIST, on_check, life);
	life->close = event_new(node->base, -1, 0, on_close, life);
	step = clock_before(life->idle / LIFE_IDLE_PARTS, LIFE_LOOK_MAX_S * SECOND);
	look.tv_sec = (time_t)(step / SECOND);
	look.tv_usec = (suseconds_t)(step % SECOND);
	if (!life->renew || !life->look || !life->check || !life->close || event_add(life->look, &look) < 0 ||
	    event_add(life->check, &check) < 0 || (keeper >= 0 && watch_keeper(life, keeper) < 0)) {
		life_free(life);
		return NULL;
	}
	return life;
}

void life_free(struct life *life)
{
	struct event *events[5];
	unsigned int i;

	if (!life)
		return;
	events[0] = life->word;
	events[1] = life->renew;
	events[2] = life->look;
	events[3] = life->check;
	events[4] = life->close;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i])
			event_free(events[i]);
	}
	if (life->keeper >= 0)
		close(life->keeper);
	next_free(life->node);
	free(life);
}

const char *life_complaint(const struct life *life)
{
	return life->complaint;
}

enum life_end life_end(const struct life *life)
{
	return life->end;
}

pid_t life_keeper_pid(const struct life *life)
{
	return life->keeper_pid;
}
