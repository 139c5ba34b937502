/* SPDX-License-Identifier: MIT */
/*
 * ctl_serve.c - punchctl serve --inetd: a program that knows nothing of listening behind a published port
 *
 * What is published must be a listening socket, so this makes one: on loopback,
 * on a port that the kernel chooses (LOCAL_LISTEN says which port is meant).  So a
 * privileged port needs no privilege, and a server that listens on the same port
 * for the LAN is not disturbed.  Only doorbells are answered there: each is exchanged for
 * the peer's socket, and COMMAND gets it as descriptors 0 and 1, as from inetd(8).
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/standin.h"
#include "resolver/ctl.h"
#include "resolver/ctl_client.h"
#include "resolver/ctl_text.h"

#define SERVE_MOST	64	/* COMMANDs at one time: sshd's MaxStartups would allow 100, inetd 40 a minute */
#define SERVE_BACKLOG	64	/* doorbells that wait while one is answered */
#define SERVE_PAUSE_MS	200	/* no descriptors or processes left: look again, do not spin */

struct serve {
	struct local_config config;
	uint16_t port;
	char **command;
	int listener;
	int signals;
	pid_t commands[SERVE_MOST];	/* that run; a shell's exec, or being process 1, may give us other children */
	unsigned int running;
};

/* Dual-stack where there is IPv6: peers then come by every path */
static int listen_loopback(void)
{
	struct endpoint loopback = { .family = AF_INET, .address = { 127, 0, 0, 1 } };
	static const int families[] = { AF_INET6, AF_INET };
	struct sockaddr_storage ss;
	int off = 0, fd, size, error = 0;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0) {
			error = -errno;
			continue;
		}
		if (families[i] == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		size = endpoint_to_sockaddr(&loopback, families[i], &ss);
		if (!bind(fd, (struct sockaddr *)&ss, (socklen_t)size) && !listen(fd, SERVE_BACKLOG))
			return fd;
		error = -errno;
		close(fd);
	}
	return error;
}

static int publish(const struct serve *serve)
{
	struct local_request request;
	struct local_reply reply;
	int status;

	ctl_request(&request, &serve->config, LOCAL_LISTEN);
	request.target.port = serve->port;
	status = ctl_ask(&request, serve->listener, CTL_START, &reply, NULL, NULL);
	if (status)
		return status;
	if (reply.status == LOCAL_NOT_OURS && *serve->config.secret) {
		log_error("port %u is not published: quick mode without a name only calls: set PUNCH_AS", serve->port);
		return CTL_CONFIG;
	}
	if (reply.status == LOCAL_NOT_OURS) {
		log_error("port %u is not published: %s; add a [service] with port = %u to %s", serve->port,
			  *reply.text ? reply.text : "no [service] has it", serve->port, serve->config.path);
		return CTL_CONFIG;
	}
	if (reply.status != LOCAL_OK)
		return ctl_explain(&reply);
	if (*reply.text)
		log_error("port %u is not reachable by peers yet: %s", serve->port, reply.text);
	return CTL_OK;
}

/* The child. @fd: the peer's socket */
static void become_command(const struct serve *serve, int fd, const struct local_reply *reply)
{
	char remote[ENDPOINT_TEXT_SIZE];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setenv("PUNCH_PEER", reply->peer, 1);
	setenv("PUNCH_REMOTE", endpoint_format(&reply->remote, remote), 1);
	if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0) {
		close_range(STDERR_FILENO + 1, ~0u, 0);
		execvp(serve->command[0], serve->command);
	}
	log_error("cannot run %s: %s", serve->command[0], strerror(errno));
	_exit(127);
}

static void run(struct serve *serve, int fd, const struct local_reply *reply)
{
	static struct log_limit limit;
	pid_t pid;

	if (serve->running >= SERVE_MOST) {
		if (log_limited(&limit))
			log_warn("%u commands run already: %s is turned away (%u such lines left out)",
				 serve->running, reply->peer, limit.suppressed);
		return;
	}
	pid = fork();
	if (!pid)
		become_command(serve, fd, reply);
	if (pid < 0)
		log_error("cannot run %s for %s: %s", serve->command[0], reply->peer, strerror(errno));
	else
		serve->commands[serve->running++] = pid;
}

/* Exchange the doorbell for the peer's socket */
static void answer(struct serve *serve, int doorbell)
{
	struct local_request request;
	struct local_reply reply;
	int fd = -1;

	ctl_request(&request, &serve->config, LOCAL_CLAIM_DOORBELL);
	if (ctl_ask(&request, doorbell, CTL_RUNNING, &reply, &fd, NULL))
		return;
	if (reply.status == LOCAL_OK && fd >= 0)
		run(serve, fd, &reply);
	else
		log_info("a local client on the doorbell's port: closed");
	if (fd >= 0)
		close(fd);
}

static void accept_one(struct serve *serve)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	int fd = accept4(serve->listener, (struct sockaddr *)&ss, &size, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return;
		log_error("accept: %s", strerror(errno));
		poll(NULL, 0, SERVE_PAUSE_MS);
		return;
	}
	/* Any local user can connect here; only a doorbell has a peer behind it */
	if (doorbell_is_sockaddr((struct sockaddr *)&ss, size))
		answer(serve, fd);
	else
		log_info("a local client on the doorbell's port: closed");
	close(fd);
}

/* @pid: a child that has ended */
static void forget(struct serve *serve, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < serve->running; i++) {
		if (serve->commands[i] == pid) {
			serve->commands[i] = serve->commands[--serve->running];
			return;
		}
	}
}

/* Return: true when it is time to leave */
static bool on_signal(struct serve *serve)
{
	struct signalfd_siginfo info;
	pid_t pid;

	if (read(serve->signals, &info, sizeof(info)) != sizeof(info))
		return false;
	if (info.ssi_signo != SIGCHLD)
		return true;
	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		forget(serve, pid);
	return false;
}

static int serve_loop(struct serve *serve)
{
	struct pollfd fds[2] = {
		{ .fd = serve->signals, .events = POLLIN },
		{ .fd = serve->listener, .events = POLLIN },
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR) {
			log_error("poll: %s", strerror(errno));
			return CTL_FAILED;
		}
		if (fds[0].revents && on_signal(serve))
			return CTL_OK;	/* commands that run keep their sockets and go on */
		if (fds[1].revents)
			accept_one(serve);
	}
}

/* SIGCHLD, SIGTERM and SIGINT by descriptor. Return: it, or -1 */
static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGCHLD, SIG_DFL);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int ctl_serve(int argc, char **argv)
{
	struct serve serve = { .running = 0 };
	int status, at = 3;

	if (argc < 4 || strcmp(argv[1], "--inetd"))
		return ctl_usage(argv[0], NULL);
	if (ctl_text_port(argv[2], &serve.port))
		return ctl_usage(argv[0], "port \"%s\": should be a number from 1 to 65535", argv[2]);
	if (!strcmp(argv[at], "--"))
		at++;
	if (at >= argc)
		return ctl_usage(argv[0], "COMMAND is missing");
	serve.command = argv + at;
	status = ctl_config(&serve.config);
	if (status)
		return status;
	serve.listener = listen_loopback();
	if (serve.listener < 0) {
		log_error("cannot listen on loopback: %s", strerror(-serve.listener));
		return CTL_FAILED;
	}
	status = publish(&serve);	/* before SIGCHLD is taken: it may start the resolver */
	if (status)
		return status;
	serve.signals = signals_open();
	if (serve.signals < 0) {
		log_error("signalfd: %s", strerror(errno));
		return CTL_FAILED;
	}
	log_info("port %u: %s for each peer", serve.port, serve.command[0]);
	return serve_loop(&serve);
}
