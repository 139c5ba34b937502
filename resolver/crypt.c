/* SPDX-License-Identifier: MIT */
/*
 * crypt.c - the resolver's pumps: started when needed, chosen by load, mourned
 *
 * Each processor gets one pump at most, and a new one is started as long as all others have something to
 * do.  A pump is forked and executed anew, so that it holds nothing of ours; end of file on its link
 * means that it died, and with it its connections, which the kernel resets.  When we leave, the link is all
 * that ends: a pump that still has connections stays.  One that says what no pump says is ended; how
 * one has ended is asked for now and then until it has, for nobody waits for a process.
 *
 * A pump has not the right to make sockets (sandbox.h).  So the local connection between it and a program is made
 * here, when the handshake is done and the kernel cannot go on from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/local.h"
#include "common/log.h"
#include "resolver/crypt.h"
#include "resolver/pair.h"
#include "resolver/process.h"
#include "resolver/pump.h"
#include "resolver/timer.h"

#define CRYPT_PUMPS	8	/* at most; of more processors the rest is left to the programs */
#define CRYPT_BATCH	64	/* notes taken for one wake-up */
/* its link is closed but a moment before it can be waited for; doubled up to ... */
#define CRYPT_MOURN	(1 * MS)
#define CRYPT_MOURN_MOST (10 * SECOND)	/* ... this: it may have closed the link, and live on */

struct crypt_pump {
	struct crypts *crypts;
	int link;			/* -1: not running */
	pid_t pid;
	unsigned int connections;	/* as it told last, and what it was given since */
	struct event *event;
};

struct crypt_job {
	TAILQ_ENTRY(crypt_job) link;
	struct crypts *crypts;
	struct crypt_pump *pump;
	uint64_t id;
	crypt_done *done;
	void *arg;
};

/* A pump without a link, until it has ended */
struct mourned {
	TAILQ_ENTRY(mourned) link;
	struct crypts *crypts;
	pid_t pid;
	unsigned int connections;
	uint64_t wait;
	struct event *timer;
};

struct crypts {
	struct node *node;
	struct crypt_pump pumps[CRYPT_PUMPS];
	unsigned int most;
	TAILQ_HEAD(, crypt_job) jobs;
	TAILQ_HEAD(, mourned) mourned;
	uint64_t last_id;
};

static struct crypt_job *find(const struct crypts *crypts, uint64_t id)
{
	struct crypt_job *job;

	TAILQ_FOREACH(job, &crypts->jobs, link) {
		if (job->id == id)
			return job;
	}
	return NULL;
}

/* Takes @result->fd along */
static void finish(struct crypt_job *job, const struct crypt_result *result)
{
	crypt_done *done = job->done;
	void *arg = job->arg;

	crypt_cancel(job);
	done(arg, result);
}

/* ------------------------------------------------------------ a pump's notes */

static void pump_close(struct crypt_pump *pump)
{
	if (pump->event)
		event_free(pump->event);
	pump->event = NULL;
	if (pump->link >= 0)
		close(pump->link);
	pump->link = -1;
}

static void mourned_free(struct mourned *mourned)
{
	TAILQ_REMOVE(&mourned->crypts->mourned, mourned, link);
	if (mourned->timer)
		event_free(mourned->timer);
	free(mourned);
}

static void on_mourned(evutil_socket_t fd, short what, void *arg)
{
	struct mourned *mourned = arg;
	int status = 0;
	pid_t pid = waitpid(mourned->pid, &status, WNOHANG);

	(void)fd;
	(void)what;
	if (pid == 0 || (pid < 0 && errno == EINTR)) {
		timer_set(mourned->timer, mourned->wait);
		mourned->wait = clock_before(2 * mourned->wait, CRYPT_MOURN_MOST);
		return;
	}
	if (pid > 0 && WIFSIGNALED(status))
		log_warn("pump %d was ended by signal %d (%s), and with it %u encrypted connections", (int)pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)), mourned->connections);
	else if (pid > 0)
		log_warn("pump %d ended with status %d, and with it %u encrypted connections", (int)pid,
			 WEXITSTATUS(status), mourned->connections);
	mourned_free(mourned);
}

/* Without memory it stays a zombie until we leave */
static void mourn(const struct crypt_pump *pump)
{
	struct mourned *mourned = calloc(1, sizeof(*mourned));

	if (!mourned)
		return;
	mourned->crypts = pump->crypts;
	mourned->pid = pump->pid;
	mourned->connections = pump->connections;
	mourned->wait = CRYPT_MOURN;
	TAILQ_INSERT_TAIL(&pump->crypts->mourned, mourned, link);
	mourned->timer = evtimer_new(pump->crypts->node->base, on_mourned, mourned);
	if (mourned->timer)
		on_mourned(-1, 0, mourned);
	else
		mourned_free(mourned);
}

/* The first of its jobs up to @last: what hears that they have failed may begin others */
static struct crypt_job *job_of(const struct crypt_pump *pump, uint64_t last)
{
	struct crypt_job *job;

	TAILQ_FOREACH(job, &pump->crypts->jobs, link) {
		if (job->pump == pump && job->id <= last)
			return job;
	}
	return NULL;
}

static void pump_died(struct crypt_pump *pump)
{
	const struct crypt_result dead = { .error = ECONNRESET, .fd = -1, .text = "the process that encrypts it died" };
	uint64_t last = pump->crypts->last_id;
	struct crypt_job *job;

	pump_close(pump);
	mourn(pump);
	pump->connections = 0;
	while ((job = job_of(pump, last)))
		finish(job, &dead);
}

/* One end for the pump, one for the program. Return: the latter, or -errno */
static int join(const struct crypt_pump *pump, const struct pump_note *note)
{
	struct pump_job message = { .magic = PUMP_MAGIC, .order = PUMP_LOCAL, .id = note->id };
	int ends[2] = { -1, -1 }, rc = pair_make(note->family == AF_INET6 ? AF_INET6 : AF_INET, ends), sent;

	sent = local_send(pump->link, &message, sizeof(message), ends[0]);	/* also to say that there is none */
	if (ends[0] >= 0)
		close(ends[0]);
	if (rc == 0 && sent == 0)
		return ends[1];
	if (ends[1] >= 0)
		close(ends[1]);
	return rc < 0 ? rc : sent;
}

/* Nobody waits for it any more */
static void decline(const struct crypt_pump *pump, const struct pump_note *note, int fd)
{
	const struct pump_job message = { .magic = PUMP_MAGIC, .order = PUMP_LOCAL, .id = note->id };

	if (fd >= 0)
		close(fd);
	else if (note->what == PUMP_READY)
		local_send(pump->link, &message, sizeof(message), -1);
}

static void refuse(struct crypt_result *result, int error)
{
	result->fd = -1;
	result->error = error;
	result->text = error == EMFILE ? "punch-resolver is out of descriptors" :
		       error == ENETUNREACH ? "no local connection can be made; is the loopback interface up?" :
					      strerror(error);
}

static void take_note(struct crypt_pump *pump, struct pump_note *note, int fd)
{
	struct crypt_job *job = find(pump->crypts, note->id);
	struct crypt_result result = { .error = note->error, .fd = fd, .text = note->text };

	note->text[PUMP_TEXT - 1] = '\0';
	pump->connections = note->connections;
	if (!job || job->pump != pump || note->what == PUMP_ENDED) {
		decline(pump, note, fd);
		return;
	}
	result.cover = (enum encrypt_cover)note->cover;
	if (note->what == PUMP_READY && note->cover == ENCRYPT_PUMP && fd < 0) {
		result.fd = join(pump, note);
		if (result.fd < 0)
			refuse(&result, -result.fd);
	} else if (fd < 0 && !result.error) {
		refuse(&result, EMFILE);	/* it came, but there was no room for it */
	}
	finish(job, &result);
}

static void on_note(evutil_socket_t fd, short what, void *arg)
{
	struct crypt_pump *pump = arg;
	struct pump_note note = { 0 };
	unsigned int i;
	ssize_t n;
	int pass;

	(void)what;
	for (i = 0; i < CRYPT_BATCH && pump->link >= 0; i++) {
		n = local_recv(fd, &note, sizeof(note), &pass);
		if (n == -EAGAIN)
			return;
		if (n != -EMFILE && (n != sizeof(note) || note.magic != PUMP_MAGIC)) {
			if (pass >= 0)
				close(pass);
			if (n > 0)
				kill(pump->pid, SIGKILL);	/* no pump of ours says that */
			pump_died(pump);
			return;
		}
		take_note(pump, &note, pass);
	}
}

/* ------------------------------------------------------------ starting one */

/* Return: 0 or -errno */
static int pump_start(struct crypt_pump *pump)
{
	static char name[] = "punch-pump", option[] = "--pump";
	char *const argv[] = { name, option, NULL };
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	pump->pid = process_start(argv, &ends[1], 1, true);
	close(ends[1]);
	if (pump->pid < 0) {
		close(ends[0]);
		return (int)pump->pid;
	}
	pump->link = ends[0];
	pump->connections = 0;
	evutil_make_socket_nonblocking(pump->link);
	pump->event = event_new(pump->crypts->node->base, pump->link, EV_READ | EV_PERSIST, on_note, pump);
	if (!pump->event || event_add(pump->event, NULL) < 0) {
		pump_close(pump);	/* which ends it, too */
		mourn(pump);
		return -ENOMEM;
	}
	log_debug("pump %d started", (int)pump->pid);
	return 0;
}

/* The one with least to do, or a new one. Return: NULL with errno */
static struct crypt_pump *choose(struct crypts *crypts)
{
	struct crypt_pump *best = NULL, *empty = NULL;
	unsigned int i;
	int rc;

	for (i = 0; i < crypts->most; i++) {
		struct crypt_pump *pump = &crypts->pumps[i];

		if (pump->link < 0)
			empty = empty ? empty : pump;
		else if (!best || pump->connections < best->connections)
			best = pump;
	}
	if (!empty || (best && !best->connections))
		return best;
	rc = pump_start(empty);
	if (rc == 0)
		return empty;
	log_warn("cannot start a process that encrypts: %s", strerror(-rc));
	errno = -rc;
	return best;
}

struct crypt_job *crypt_start(struct crypts *crypts, bool caller, const uint8_t *session, const uint8_t *key, int fd,
			      uint64_t patience, crypt_done *done, void *arg)
{
	struct crypt_pump *pump = choose(crypts);
	struct crypt_job *job = pump ? calloc(1, sizeof(*job)) : NULL;
	struct pump_job message = {
		.magic = PUMP_MAGIC, .order = PUMP_PATH, .caller = caller, .id = ++crypts->last_id,
		.patience = patience,
	};
	int rc = -errno;

	if (job) {
		memcpy(message.session, session, sizeof(message.session));
		memcpy(message.key, key, sizeof(message.key));
		rc = local_send(pump->link, &message, sizeof(message), fd);
		OPENSSL_cleanse(&message, sizeof(message));
	}
	close(fd);
	if (!job || rc < 0) {
		free(job);
		errno = -rc;
		return NULL;
	}
	job->crypts = crypts;
	job->pump = pump;
	job->id = crypts->last_id;
	job->done = done;
	job->arg = arg;
	pump->connections++;
	TAILQ_INSERT_TAIL(&crypts->jobs, job, link);
	return job;
}

void crypt_cancel(struct crypt_job *job)
{
	if (!job)
		return;
	TAILQ_REMOVE(&job->crypts->jobs, job, link);
	free(job);
}

struct crypts *crypts_new(struct node *node)
{
	struct crypts *crypts = calloc(1, sizeof(*crypts));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int i;

	if (!crypts)
		return NULL;
	crypts->node = node;
	crypts->most = processors < 1 ? 1 : processors > CRYPT_PUMPS ? CRYPT_PUMPS : (unsigned int)processors;
	TAILQ_INIT(&crypts->jobs);
	TAILQ_INIT(&crypts->mourned);
	for (i = 0; i < CRYPT_PUMPS; i++) {
		crypts->pumps[i].crypts = crypts;
		crypts->pumps[i].link = -1;
	}
	return crypts;
}

void crypts_free(struct crypts *crypts)
{
	unsigned int i;

	if (!crypts)
		return;
	while (!TAILQ_EMPTY(&crypts->jobs))
		crypt_cancel(TAILQ_FIRST(&crypts->jobs));
	while (!TAILQ_EMPTY(&crypts->mourned))
		mourned_free(TAILQ_FIRST(&crypts->mourned));
	for (i = 0; i < CRYPT_PUMPS; i++)
		pump_close(&crypts->pumps[i]);
	free(crypts);
}
