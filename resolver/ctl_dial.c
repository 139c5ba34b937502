/* SPDX-License-Identifier: MIT */
/*
 * ctl_dial.c - punchctl dial: a peer's port on stdin and stdout, or the bare socket for somebody else
 *
 * Joining takes one thread for each direction, both with blocking calls: stdin and stdout
 * belong to others (a shell's terminal, a pipe's other holders), so they must not be made non-blocking,
 * and a poll() that says "writable" does not promise that a whole buffer fits.  Bytes are copied, not spliced: splice()
 * holds the pipe's lock while it waits for the socket (seen on Linux 6.18), so that the program
 * at the other end of the pipe sticks in read() or write() even when it had made the pipe non-blocking.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "resolver/ctl.h"
#include "resolver/ctl_client.h"
#include "resolver/ctl_text.h"

/* bytes a call: larger ones gain nothing: 57 to 68 % of a direct connection (measured) */
#define CHUNK	(128 * 1024)

/* One half of the connection: from standard input to the peer, or from the peer to standard output */
struct half {
	int from, to;
	const char *name;
	bool failed;
	char *buffer;
};

/* Return: bytes moved, 0 at the end, -errno */
static ssize_t move(struct half *half)
{
	ssize_t have = read(half->from, half->buffer, CHUNK), done = 0, n;

	if (have <= 0)
		return have ? -errno : 0;
	while (done < have) {
		n = write(half->to, half->buffer + done, (size_t)(have - done));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += n;
	}
	return have;
}

static void *half_run(void *arg)
{
	struct half *half = arg;
	ssize_t n;

	do {
		n = move(half);
	} while (n > 0 || n == -EINTR);
	if (n < 0 && n != -EPIPE) {	/* EPIPE: the reader has had enough, no fault */
		log_error("%s: %s", half->name, strerror((int)-n));
		half->failed = true;
	}
	return NULL;
}

/* stdin to the socket, in a thread of its own; its end is passed on by FIN */
static void *upward(void *arg)
{
	struct half *half = arg;

	half_run(half);
	shutdown(half->to, SHUT_WR);
	return NULL;
}

static int join(int fd)
{
	static char buffers[2][CHUNK];
	struct half up = { .from = STDIN_FILENO, .to = fd, .name = "sending", .buffer = buffers[0] };
	struct half down = { .from = fd, .to = STDOUT_FILENO, .name = "receiving", .buffer = buffers[1] };
	pthread_t thread;
	int error = pthread_create(&thread, NULL, upward, &up);

	if (error) {
		log_error("cannot start a thread: %s", strerror(error));
		return CTL_FAILED;
	}
	half_run(&down);
	close(STDOUT_FILENO);
	/*
	 * The peer has said all.  A program that still writes to us may go on; a person at a
	 * terminal should not have to press a key to see that it is over.
	 */
	if (!isatty(STDIN_FILENO) && !down.failed)
		pthread_join(thread, NULL);
	_exit(up.failed || down.failed ? CTL_FAILED : CTL_OK);
}

/* OpenSSH's ProxyUseFdpass: one byte and the descriptor over what it gave us as stdout */
static int pass_on(int fd)
{
	char byte = 0;
	int error = local_send(STDOUT_FILENO, &byte, 1, fd);

	if (!error)
		return CTL_OK;
	if (error == -ENOTSOCK)
		log_error("--fdpass: stdout is no socket; ssh makes it one with \"ProxyUseFdpass yes\"");
	else
		log_error("--fdpass: %s", strerror(-error));
	return CTL_FAILED;
}

/* With IPv6 on this host a dual-stack socket can take every path */
static int best_family(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return AF_INET;
	close(fd);
	return AF_INET6;
}

int ctl_dial(int argc, char **argv)
{
	struct local_config config;
	struct local_request request;
	struct local_reply reply;
	bool fdpass = argc > 1 && !strcmp(argv[1], "--fdpass");
	uint16_t port;
	int status, fd = -1;

	if (argc != 3 + fdpass || argv[1 + fdpass][0] == '-')
		return ctl_usage(argv[0], NULL);
	if (strlen(argv[argc - 2]) >= sizeof(request.peer))
		return ctl_usage(argv[0], "PEER is too long");
	if (ctl_text_port(argv[argc - 1], &port))
		return ctl_usage(argv[0], "port \"%s\": should be a number from 1 to 65535", argv[argc - 1]);
	status = ctl_config(&config);
	if (status)
		return status;
	ctl_request(&request, &config, LOCAL_DIAL);
	strcpy(request.peer, argv[argc - 2]);
	request.target.port = port;
	request.family = (uint32_t)best_family();
	status = ctl_ask(&request, -1, CTL_START, &reply, &fd, NULL);
	if (status)
		return status;
	if (reply.status != LOCAL_OK || fd < 0) {
		if (fd >= 0)
			close(fd);
		return ctl_explain(&reply);
	}
	signal(SIGPIPE, SIG_IGN);
	status = fdpass ? pass_on(fd) : join(fd);
	close(fd);
	return status;
}
