/* SPDX-License-Identifier: MIT */
/*
 * ctl_client.c - punchctl's end of common/local.h
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/owner.h"
#include "conf/conf_env.h"
#include "resolver/ctl.h"
#include "resolver/ctl_client.h"

#define START_MS	10000	/* a start takes 20 ms; a disk that wakes up takes seconds */
#define ANSWER_MS	10000	/* on top of the request's own limit: a start, a doctor, a busy host */

/* --- configuration */

int ctl_config(struct local_config *config)
{
	char why[LOCAL_TEXT], hidden[LIMIT_PATH];
	int rc;

	memset(config, 0, sizeof(*config));
	rc = conf_env_quick(config, secure_getenv, why, sizeof(why));
	if (rc == 0 && !conf_node_path(hidden, secure_getenv))
		log_warn(CONF_ENV_HIDES, hidden);
	if (rc == 0 || (rc == -ENOENT && !conf_node_path(config->path, secure_getenv)))
		return CTL_OK;
	log_error("%s", rc != -ENOENT ? why : "no configuration: write ~/.config/punch/punch.conf (see punch.conf(5)), "
		  "or set PUNCH_SECRET and PUNCH_RENDEZVOUS");
	return CTL_CONFIG;
}

void ctl_request(struct local_request *request, const struct local_config *config, enum local_kind kind)
{
	char why[LOCAL_TEXT];

	memset(request, 0, sizeof(*request));
	request->magic = LOCAL_MAGIC;
	request->kind = kind;
	request->config = *config;
	request->timeout_ms = conf_env_timeout_ms(secure_getenv, why, sizeof(why));
	if (*why)
		log_warn("%s", why);
	request->route = conf_env_route(secure_getenv, why, sizeof(why));
	if (*why)
		log_warn("%s", why);
}

/* --- starting the resolver */

static void become_resolver(const char *path)
{
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	close_range(STDERR_FILENO + 1, ~0u, 0);
	execl(path, "punch-resolver", "--background", (char *)NULL);
	log_error("cannot start %s: %s", path, strerror(errno));
	_exit(127);
}

/* Return: exit status, 128 + signal, or -errno */
static int await(pid_t pid)
{
	struct pollfd pollfd = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status = 0, ready = 1;

	if (pollfd.fd >= 0) {	/* else a kernel before 5.3: wait without a limit */
		do {
			ready = poll(&pollfd, 1, START_MS);
		} while (ready < 0 && errno == EINTR);
		close(pollfd.fd);
	}
	if (!ready)
		return -ETIMEDOUT;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* punch-resolver beside ourselves; --background ends with 0 when a resolver listens */
static int start_resolver(void)
{
	char path[LIMIT_PATH], *slash;
	ssize_t size = readlink("/proc/self/exe", path, sizeof(path) - 1);
	pid_t pid;
	int result;

	path[size < 0 ? 0 : size] = '\0';
	slash = strrchr(path, '/');
	if (!slash || (size_t)(slash + 1 - path) + sizeof("punch-resolver") > sizeof(path)) {
		log_error("cannot start punch-resolver: the folder of punchctl is unknown");
		return CTL_FAILED;
	}
	strcpy(slash + 1, "punch-resolver");
	signal(SIGCHLD, SIG_DFL);	/* an ignored one, inherited, would make the status disappear */
	pid = fork();
	if (!pid)
		become_resolver(path);
	result = pid < 0 ? -errno : await(pid);
	if (result < 0)
		log_error("cannot start %s: %s", path, strerror(-result));
	else if (result > 128)
		log_error("%s was ended by signal %d", path, result - 128);
	if (result == 0 || result == CTL_CONFIG)	/* it has said why */
		return result;
	return CTL_FAILED;
}

/* --- one exchange */

static bool is_own(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.uid == geteuid();
}

/* Return: a socket to our own user's process at that name, or -errno */
static int reach_name(const struct sockaddr_un *sun, int size)
{
	const struct timeval limit = { .tv_sec = ANSWER_MS / 1000 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
	uid_t owner;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	error = connect(fd, (const struct sockaddr *)sun, (socklen_t)size) ? -errno : 0;
	fcntl(fd, F_SETFL, 0);
	/* anybody can fill a queue */
	if (error == -EAGAIN && owner_of(sun, (size_t)size, &owner) == 0 && owner == geteuid())
		error = connect(fd, (const struct sockaddr *)sun, (socklen_t)size) ? -errno : 0;
	if (!error && !is_own(fd))	/* anyone may sit at an abstract name: say nothing to him */
		error = -EPERM;
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* Return: the same for place @n */
static int reach(const struct local_config *config, unsigned int n)
{
	struct sockaddr_un sun;
	int size = local_address(&sun, geteuid(), config, n);

	return size < 0 ? size : reach_name(&sun, size);
}

/* Return: 0, -ETIMEDOUT, or -errno when nobody of use is there */
static int exchange(int socket, const struct local_request *request, int pass,
		    struct local_reply *reply, int *fd)
{
	struct pollfd pollfd = { .fd = socket, .events = POLLIN };
	int error = local_send(socket, request, sizeof(*request), pass), ready;
	ssize_t n;

	if (error)
		return error;
	do {
		ready = poll(&pollfd, 1, (int)request->timeout_ms + ANSWER_MS);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready ? -errno : -ETIMEDOUT;
	n = local_recv(socket, reply, sizeof(*reply), fd);
	if (n == (ssize_t)sizeof(*reply) && reply->magic == LOCAL_MAGIC) {
		reply->text[sizeof(reply->text) - 1] = '\0';
		reply->peer[sizeof(reply->peer) - 1] = '\0';
		return 0;
	}
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	if (n < 0)
		return (int)n;
	return n ? -EPROTO : -ECONNRESET;
}

/* All places in turn. Return: 0, -ENOTCONN (nobody), -ETIMEDOUT, -EPROTO */
static int ask_all(const struct local_request *request, int pass, struct local_reply *reply,
		   int *fd, int *stream)
{
	unsigned int n;

	for (n = 0; n < LOCAL_NAMES; n++) {
		int socket = reach(&request->config, n), error = socket;

		*fd = -1;
		if (socket < 0 && (error == -EMFILE || error == -ENFILE || error == -EAFNOSUPPORT ||
				   error == -ENOENT || error == -EACCES))
			return error;	/* ENOENT, EACCES: of the configuration's folder */
		if (socket < 0)
			continue;
		error = exchange(socket, request, pass, reply, fd);
		if (!error && reply->status != LOCAL_OTHER_CONFIG && stream)
			*stream = socket;
		else
			close(socket);
		if (!error && reply->status == LOCAL_OTHER_CONFIG)
			continue;
		if (!error || error == -ETIMEDOUT || error == -EPROTO)
			return error;
	}
	return -ENOTCONN;
}

static int complain(const struct local_config *config, int error)
{
	const char *which = *config->path ? config->path : "this secret word";

	if (error == -ENOTCONN)
		log_error("no punch-resolver runs for %s; it starts with the first connection or service", which);
	else if (error == -ETIMEDOUT)
		log_error("punch-resolver runs but does not answer");
	else if (error == -EPROTO)
		log_error("punch-resolver is of another version than punchctl: run \"punchctl stop\" of that version");
	else if (error == -ENOENT || error == -EACCES)
		log_error("%s: %s", which, strerror(-error));
	else
		log_error("cannot talk to punch-resolver: %s", strerror(-error));
	return error == -ENOENT || error == -EACCES ? CTL_CONFIG : CTL_FAILED;
}

int ctl_ask(const struct local_request *request, int pass, enum ctl_effort effort,
	    struct local_reply *reply, int *fd, int *stream)
{
	int came = -1, error, status;

	if (stream)
		*stream = -1;
	error = ask_all(request, pass, reply, &came, stream);
	if (error == -ENOTCONN && effort == CTL_START) {
		status = start_resolver();
		if (status)
			return status;
		error = ask_all(request, pass, reply, &came, stream);
	}
	if (error)
		return complain(&request->config, error);
	if (fd)
		*fd = came;
	else if (came >= 0)
		close(came);
	return CTL_OK;
}

int ctl_ask_name(const char *name, const struct local_request *request, struct local_reply *reply, int *stream)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t size = strlen(name);
	int fd = -1, error;

	*stream = -1;
	if (size >= sizeof(sun.sun_path))
		return CTL_OK;
	memcpy(sun.sun_path + 1, name, size);
	*stream = reach_name(&sun, (int)(offsetof(struct sockaddr_un, sun_path) + 1 + size));
	if (*stream < 0) {
		*stream = -1;
		return CTL_OK;
	}
	error = exchange(*stream, request, -1, reply, &fd);
	if (fd >= 0)
		close(fd);
	if (!error)
		return CTL_OK;
	log_error("%s: %s", name, error == -EPROTO ? "of another version of punch: run that one's \"punchctl stop\"" :
		  strerror(-error));
	close(*stream);
	*stream = -1;
	return CTL_FAILED;
}

int ctl_explain(const struct local_reply *reply)
{
	if (*reply->text)
		log_error("%s", reply->text);
	else if (reply->status == LOCAL_DENIED)
		log_error("punch-resolver refuses: it serves another user");
	else
		log_error("%s", reply->error ? strerror(reply->error) : "punch-resolver refuses and gives no reason");
	return CTL_FAILED;
}
