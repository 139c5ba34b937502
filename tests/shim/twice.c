/* SPDX-License-Identifier: MIT */
/*
 * twice.c - under the shim: what a program sees of a peer is what it sees of a host
 *
 * Each case runs twice, with sockets to hosts and with sockets to peers, and writes down all that it sees.  Both
 * accounts must be the same.  A case that does not belong to libc's ordinary ways (connect() again, and in between
 * undone, half shut, timed out) needs no table of expectations so: the kernel is the table.
 *
 *	twice [WORD [SURROUNDINGS]]	cases whose names hold WORD; after chroot() to a folder, setuid() to "nobody", or
 *					with sockets of IPv6 ("six")
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sys/mman.h>

#include "tests/shim/under.h"

/* Where the sockets of a case go: to one that accepts, one that refuses, one that does not answer */
static struct address there, refusing, silent;
static struct address plain;		/* that accepts, and is no peer for either side: mapped(), and says why */
static int listener;
static int family = AF_INET;

#define NOBODY 65534
#define PAGE 4096

static char account[2][4096];
static unsigned int side;		/* 0: hosts, 1: peers */

__attribute__((format(printf, 1, 2)))
static void note(const char *format, ...)
{
	size_t used = strlen(account[side]);
	va_list list;

	va_start(list, format);
	vsnprintf(account[side] + used, sizeof(account[side]) - used, format, list);
	va_end(list);
}

/* A call's result, and what is wrong */
static void told(const char *what, long rc)
{
	note("%s: %ld%s%s\n", what, rc, rc < 0 ? " " : "", rc < 0 ? strerrorname_np(errno) : "");
}

/* Whether the kernel has it at once is a question of time */
static void begun(const char *what, int rc)
{
	if (rc == 0 || errno == EINPROGRESS)
		note("%s: begun\n", what);
	else
		told(what, rc);
}

static short events_of(int fd, int ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

	poll(&pollfd, 1, ms);
	return pollfd.revents;
}

static void polled(int fd)
{
	note("poll: %#x\n", (unsigned int)events_of(fd, LIMIT_MS));
}

/*
 * A refusal.  The resolver has to establish the connection before it can reset it, and a program may look in
 * between: so only what it waits for is noted
 */
static void woken(int fd)
{
	note("poll: %#x\n", (unsigned int)events_of(fd, LIMIT_MS) & POLLOUT);
}

static void polled_now(int fd)
{
	note("poll now: %#x\n", (unsigned int)events_of(fd, 0));
}

static void error_told(int fd)
{
	int error = socket_error(fd);

	note("SO_ERROR: %s\n", error ? strerrorname_np(error) : "0");
}

static void named(int fd)
{
	const char *name = remote(fd);

	if (!name[0])
		told("getpeername", -1);
	else
		note("getpeername: %s\n", strncmp(name, side ? "239.192." : "127.0.0.1:", 8) == 0 ||
		     strncmp(name, side ? "ff18:7075:" : "::1:", side ? 10 : 4) == 0 ? "the far side" : name);
}

static void named_as_host(int fd)
{
	const char *name = remote(fd);

	note("getpeername: %s\n", strncmp(name, "127.0.0.1:", 10) == 0 || strncmp(name, "::ffff:127.0.0.1:", 17) == 0 ?
	     "the host" :
	     name[0] ? name : strerrorname_np(errno));
}

static int fresh(int flags)
{
	return tcp(family, SOCK_CLOEXEC | flags);
}

/* The next one who comes to us; -1: nobody does */
static int accepted(void)
{
	return wait_for(listener, POLLIN) ? accept(listener, NULL, NULL) : -1;
}

/* Bytes both ways, and the end */
static void talked(int fd)
{
	int far = accepted();
	char data[8] = "";

	if (far < 0) {
		note("nobody came\n");
		return;
	}
	told("send", send(fd, "ping", 4, MSG_NOSIGNAL));
	wait_for(far, POLLIN);
	told("far recv", recv(far, data, sizeof(data), MSG_DONTWAIT));
	told("far send", send(far, "pong!", 5, MSG_NOSIGNAL));
	wait_for(fd, POLLIN);
	told("recv", recv(fd, data, sizeof(data), MSG_DONTWAIT));
	note("\"%.8s\"\n", data);
	close(far);
	wait_for(fd, POLLIN);		/* through a splice it takes a while */
	polled(fd);
	told("recv", recv(fd, data, sizeof(data), MSG_DONTWAIT));
}

static void accepted_and_left(void)
{
	close(accepted());
}

/* Without waiting in connect(); @fd is closed */
static void connected_and_talked(int fd)
{
	begun("connect", join(fd, &there));
	polled(fd);
	error_told(fd);
	talked(fd);
	close(fd);
}

static int undo(int fd)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };

	return connect(fd, &none, sizeof(none));
}

/* ------------------------------------------------------------ the cases */

static void again_after_a_refusal(void)
{
	int fd = fresh(0);

	told("connect", join(fd, &refusing));
	named(fd);
	error_told(fd);
	told("connect", join(fd, &refusing));
	told("connect", join(fd, &there));
	error_told(fd);
	named(fd);
	told("connect", join(fd, &there));
	talked(fd);
	close(fd);
}

static void a_refusal_that_so_error_told(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &refusing));
	woken(fd);
	error_told(fd);
	error_told(fd);
	named(fd);
	told("send", send(fd, "x", 1, MSG_NOSIGNAL));
	close(fd);
}

static void again_after_a_refusal_that_connect_told(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &refusing));
	woken(fd);
	told("connect", join(fd, &refusing));
	error_told(fd);
	named(fd);
	begun("connect", join(fd, &there));
	polled(fd);
	error_told(fd);
	error_told(fd);
	named(fd);
	talked(fd);
	close(fd);
}

static void undone_while_it_connects(void)
{
	int fd = fresh(SOCK_NONBLOCK), i;

	for (i = 0; i < 2; i++) {
		begun("connect", join(fd, &silent));
		told("connect", join(fd, &silent));
		polled_now(fd);
		told("undo", undo(fd));
		polled_now(fd);
		error_told(fd);
		named(fd);
	}
	begun("connect", join(fd, &there));
	polled(fd);
	error_told(fd);
	named(fd);
	talked(fd);
	close(fd);
}

static void undone_when_it_is_connected(void)
{
	int fd = fresh(0), i;

	for (i = 0; i < 2; i++) {
		told("connect", join(fd, &there));
		named(fd);
		talked(fd);
		told("undo", undo(fd));
		named(fd);
		error_told(fd);
		polled_now(fd);
		told("send", send(fd, "x", 1, MSG_NOSIGNAL));
	}
	told("connect", join(fd, &refusing));
	told("undo", undo(fd));
	told("undo", undo(fd));
	told("listen", listen(fd, 1));
	told("connect", join(fd, &there));
	close(fd);
}

static void undone_before_it_was_told(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &there));
	polled(fd);
	told("undo", undo(fd));
	named(fd);
	accepted_and_left();
	connected_and_talked(fd);
}

static void undone_after_a_refusal(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &refusing));
	woken(fd);
	told("undo", undo(fd));
	socket_error(fd);	/* of hosts the kernel still tells it then */
	connected_and_talked(fd);
}

static void shut_before_it_is_connected(void)
{
	static const int ways[] = { SHUT_RD, SHUT_WR, SHUT_RDWR };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		int fd = fresh(SOCK_NONBLOCK);

		told("shutdown", shutdown(fd, ways[i]));
		begun("connect", join(fd, &silent));
		polled_now(fd);
		told("shutdown", shutdown(fd, ways[i]));
		polled_now(fd);
		error_told(fd);
		named(fd);
		told("recv", recv(fd, &(char){ 0 }, 1, 0));
		told("send", send(fd, "x", 1, MSG_NOSIGNAL));
		close(fd);
		fd = fresh(SOCK_NONBLOCK);
		begun("connect", join(fd, &silent));
		told("shutdown", shutdown(fd, ways[i]));
		begun("connect", join(fd, &there));
		polled(fd);
		error_told(fd);
		named(fd);
		accepted_and_left();
		close(fd);
	}
}

/* Both ways, one after the other: of SHUT_WR the socket is a fresh one, which the second shutdown() shuts */
static void shut_twice_while_it_connects(void)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		int fd = fresh(SOCK_NONBLOCK);

		begun("connect", join(fd, &silent));
		told("shutdown", shutdown(fd, SHUT_WR));
		told("shutdown", shutdown(fd, SHUT_RDWR));
		if (i == 0)
			error_told(fd);
		named(fd);
		begun("connect", join(fd, &there));
		accepted_and_left();
		error_told(fd);
		close(fd);
	}
}

/* Nobody is left to ask but the kernel */
static void shut_and_the_resolver_is_gone(void)
{
	unsigned int i;

	if (access(getenv("DOUBLE"), X_OK) < 0 || getuid() == NOBODY) {
		note("after chroot() or setuid() the resolver cannot be stopped\n");
		return;
	}
	for (i = 0; i < 4; i++) {
		int fd = fresh(SOCK_NONBLOCK);

		begun("connect", join(fd, &silent));
		told("shutdown", shutdown(fd, SHUT_WR));
		if (i & 2)
			told("shutdown", shutdown(fd, SHUT_RDWR));
		note("stopped: %d\n", side ? system("exec \"$DOUBLE\" stop") : 0);
		if (i & 1)
			error_told(fd);
		named(fd);
		begun("connect", join(fd, &there));
		accepted_and_left();
		error_told(fd);
		close(fd);
	}
}

static void it_waits_after_all(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &there));
	fcntl(fd, F_SETFL, 0);
	told("connect", join(fd, &there));
	named(fd);
	told("connect", join(fd, &there));
	talked(fd);
	close(fd);
	fd = fresh(SOCK_NONBLOCK);
	begun("connect", join(fd, &refusing));
	ioctl(fd, FIONBIO, &(int){ 0 });
	told("connect", join(fd, &refusing));
	told("connect", join(fd, &there));
	talked(fd);
	close(fd);
}

static void its_time_is_over(void)
{
	const struct timeval limit = { .tv_usec = 100000 };
	int fd = fresh(0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	told("connect", join(fd, &silent));
	told("connect", join(fd, &silent));
	error_told(fd);
	polled_now(fd);
	told("undo", undo(fd));
	told("connect", join(fd, &there));
	talked(fd);
	close(fd);
}

static void questions_while_it_connects(void)
{
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	int fd = fresh(SOCK_NONBLOCK), value = -1;
	char data[4];

	begun("connect", join(fd, &silent));
	error_told(fd);
	error_told(fd);
	named(fd);
	told("send", send(fd, "x", 1, MSG_NOSIGNAL));
	told("send nothing", send(fd, "", 0, MSG_NOSIGNAL));
	told("write", write(fd, "x", 1));
	told("recv", recv(fd, data, sizeof(data), 0));
	told("read", read(fd, data, sizeof(data)));
	told("recv peek", recv(fd, data, sizeof(data), MSG_PEEK));
	told("recv oob", recv(fd, data, sizeof(data), MSG_OOB));
	told("recv errqueue", recv(fd, data, sizeof(data), MSG_ERRQUEUE));
	told("FIONREAD", ioctl(fd, FIONREAD, &value));
	told("SIOCOUTQ", ioctl(fd, SIOCOUTQ, &value));
	note("%d\n", value);
	told("getsockname", getsockname(fd, (struct sockaddr *)&ss, &size));
	note("%u\n", size);
	told("listen", listen(fd, 1));
	told("bind", bind(fd, (struct sockaddr *)&there.ss, there.size));
	told("accept", accept(fd, NULL, NULL));
	told("connect elsewhere", join(fd, &there));
	told("connect short", connect(fd, (struct sockaddr *)&there.ss, 4));
	told("connect shorter", connect(fd, (struct sockaddr *)&there.ss, 1));
	close(fd);
}

static void questions_when_it_is_connected(void)
{
	int fd = fresh(0), value = -1;

	told("connect", join(fd, &there));
	told("listen", listen(fd, 1));
	told("bind", bind(fd, (struct sockaddr *)&refusing.ss, refusing.size));
	told("accept", accept(fd, NULL, NULL));
	told("connect elsewhere", join(fd, &refusing));
	told("connect short", connect(fd, (struct sockaddr *)&there.ss, 4));
	told("sendto", sendto(fd, "", 0, MSG_NOSIGNAL, (struct sockaddr *)&refusing.ss, refusing.size));
	told("SIOCATMARK", ioctl(fd, SIOCATMARK, &value));
	error_told(fd);
	talked(fd);
	told("shutdown", shutdown(fd, SHUT_WR));
	told("shutdown", shutdown(fd, SHUT_RDWR));
	named(fd);
	told("send", send(fd, "x", 1, MSG_NOSIGNAL));
	told("connect", join(fd, &there));
	close(fd);
}

static void select_sees_high_numbers(void)
{
	enum { HIGH = 2500 };
	struct rlimit limit, wide = { .rlim_cur = HIGH + 1 };
	long sets[3][(HIGH + 64) / (8 * sizeof(long))];
	struct timeval patience = { .tv_sec = LIMIT_MS / 1000 };
	int low = fresh(SOCK_NONBLOCK), fd;

	getrlimit(RLIMIT_NOFILE, &limit);
	wide.rlim_max = limit.rlim_max;
	told("setrlimit", setrlimit(RLIMIT_NOFILE, &wide));
	fd = fcntl(low, F_DUPFD_CLOEXEC, HIGH);
	close(low);
	memset(sets, 0, sizeof(sets));
	begun("connect", join(fd, &there));
	sets[0][fd / (8 * sizeof(long))] = sets[1][fd / (8 * sizeof(long))] = sets[2][fd / (8 * sizeof(long))] =
		(long)(1ul << (unsigned int)fd % (8 * sizeof(long)));
	told("select", select(fd + 1, (fd_set *)sets[0], (fd_set *)sets[1], (fd_set *)sets[2], &patience));
	note("%d %d %d\n", sets[0][fd / (8 * sizeof(long))] != 0, sets[1][fd / (8 * sizeof(long))] != 0,
	     sets[2][fd / (8 * sizeof(long))] != 0);
	error_told(fd);
	named(fd);
	talked(fd);
	close(fd);
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* @epoll: a set; closed */
static void edges_in(int epoll, const struct address *address)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u32 = 7 };
	int fd = fresh(SOCK_NONBLOCK), n;

	begun("connect", join(fd, address));
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	n = epoll_wait(epoll, &event, 1, LIMIT_MS);
	note("epoll: %d %#x %u\n", n, event.events & (address == &there ? ~0u : EPOLLOUT), event.data.u32);
	error_told(fd);
	if (address == &there) {
		talked(fd);
		n = epoll_wait(epoll, &event, 1, LIMIT_MS);
		note("epoll: %d %#x %u\n", n, event.events, event.data.u32);
	}
	event.events = EPOLLIN;
	told("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	told("epoll_ctl", epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL));
	close(epoll);
	close(fd);
}

static void edges_of_a_connection(void) { edges_in(epoll_create1(EPOLL_CLOEXEC), &there); }
static void edges_of_a_refusal(void) { edges_in(epoll_create1(EPOLL_CLOEXEC), &refusing); }

/* The limit is lowered below the number of the set, as daemons do */
static void edges_above_the_limit(void)
{
	enum { NUMBER = 50 };
	int low = epoll_create1(EPOLL_CLOEXEC), epoll = fcntl(low, F_DUPFD_CLOEXEC, NUMBER);
	struct rlimit limit, lower;

	close(low);
	getrlimit(RLIMIT_NOFILE, &limit);
	lower = (struct rlimit){ .rlim_cur = NUMBER, .rlim_max = limit.rlim_max };
	told("setrlimit", setrlimit(RLIMIT_NOFILE, &lower));
	edges_in(epoll, &there);
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void signals_come_by_a_descriptor(void)
{
	struct signalfd_siginfo info = { 0 };
	sigset_t set, before;
	int fd = fresh(SOCK_NONBLOCK), signals, far;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, SIGRTMIN + 1);
	fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	begun("connect", join(fd, &there));
	wait_for(signals, POLLIN);
	told("signal", read(signals, &info, sizeof(info)));
	note("of it: %d\n", info.ssi_fd == fd);
	error_told(fd);
	while (read(signals, &info, sizeof(info)) > 0)
		;
	far = accept(listener, NULL, NULL);
	told("far send", send(far, "x", 1, MSG_NOSIGNAL));
	wait_for(signals, POLLIN);
	told("signal", read(signals, &info, sizeof(info)));
	note("of it: %d, to read: %d\n", info.ssi_fd == fd, (info.ssi_band & POLLIN) != 0);
	close(far);
	close(fd);
	while (read(signals, &info, sizeof(info)) > 0)
		;
	close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Bytes that were there before the program knew of its connection */
static void signals_tell_what_came_before(void)
{
	struct signalfd_siginfo info = { 0 };
	sigset_t set, before;
	int fd = fresh(SOCK_NONBLOCK), signals, far, readable = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, &before);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETSIG, SIGRTMIN + 1);
	fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC);
	begun("connect", join(fd, &there));
	far = accepted();
	told("far send", send(far, "x", 1, MSG_NOSIGNAL));
	woken(fd);
	error_told(fd);
	while (!readable && wait_for(signals, POLLIN) && read(signals, &info, sizeof(info)) > 0)
		readable = (info.ssi_band & POLLIN) && info.ssi_fd == fd;
	note("to read: %d\n", readable);
	close(far);
	close(fd);
	while (read(signals, &info, sizeof(info)) > 0)
		;
	close(signals);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void fast_open(void)
{
	int fd = fresh(0);

	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&there.ss, there.size));
	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&there.ss, there.size));
	named(fd);
	accepted_and_left();
	close(fd);
	fd = fresh(0);
	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&refusing.ss, refusing.size));
	error_told(fd);
	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&there.ss, there.size));
	accepted_and_left();
	close(fd);
	fd = fresh(SOCK_NONBLOCK);
	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&silent.ss, silent.size));
	told("sendto", sendto(fd, "fast", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&silent.ss, silent.size));
	told("send", send(fd, "fast", 4, MSG_NOSIGNAL));
	told("connect", join(fd, &silent));
	error_told(fd);
	close(fd);
}

static void fast_open_by_option(void)
{
	int fd = fresh(0);

	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	told("connect", join(fd, &refusing));
	told("connect", join(fd, &there));
	talked(fd);
	close(fd);
	fd = fresh(SOCK_NONBLOCK);
	set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
	connected_and_talked(fd);
}

static void a_process_without_descriptors(void)
{
	struct rlimit limit, none = { 0 };
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &there));
	polled(fd);
	getrlimit(RLIMIT_NOFILE, &limit);
	none.rlim_max = limit.rlim_max;
	none.rlim_cur = (rlim_t)fd + 1;		/* and all below are taken */
	error_told(fd);
	setrlimit(RLIMIT_NOFILE, &none);
	named(fd);
	told("connect", join(fd, &there));
	told("send", send(fd, "x", 1, MSG_NOSIGNAL));
	setrlimit(RLIMIT_NOFILE, &limit);
	accepted_and_left();
	close(fd);
}

/* When it is connected the process has @left descriptors left */
static void with_few_descriptors(int left)
{
	int fd = fresh(SOCK_NONBLOCK), used[4096], count = 0;

	begun("connect", join(fd, &there));
	polled(fd);
	while (count < 4096 && (used[count] = dup(fd)) >= 0)
		count++;
	while (left-- > 0)
		close(used[--count]);
	error_told(fd);
	named(fd);
	while (count > 0)
		close(used[--count]);
	talked(fd);
	close(fd);
}

/* The resolver establishes a failed one for a moment; which error is told then is another matter */
static void a_refusal_with_no_descriptor_left(void)
{
	int fd = fresh(SOCK_NONBLOCK), used[4096], count = 0;

	begun("connect", join(fd, &refusing));
	while (count < 4096 && (used[count] = dup(fd)) >= 0)
		count++;
	woken(fd);
	note("SO_ERROR: %s\n", socket_error(fd) ? "some" : "0");
	named(fd);
	while (count > 0)
		close(used[--count]);
	close(fd);
}

static void with_no_descriptor_left(void) { with_few_descriptors(0); }
static void with_one_descriptor_left(void) { with_few_descriptors(1); }
static void with_two_descriptors_left(void) { with_few_descriptors(2); }
static void with_three_descriptors_left(void) { with_few_descriptors(3); }

/* A ring of one entry, without a library */
struct ring {
	int fd;
	struct io_uring_params params;
	unsigned char *rings;
	struct io_uring_sqe *entry;
};

static bool ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = (int)syscall(SYS_io_uring_setup, 1, &ring->params);
	if (ring->fd < 0)
		return false;
	ring->rings = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->entry = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	return ring->rings != MAP_FAILED && ring->entry != MAP_FAILED &&
	       (ring->params.features & IORING_FEAT_SINGLE_MMAP);
}

static _Atomic(unsigned int) *ring_word(const struct ring *ring, unsigned int offset)
{
	return (_Atomic(unsigned int) *)(void *)(ring->rings + offset);
}

/* Do @entry and wait for it. Return: as the system call, -errno too */
static int ring_do(const struct ring *ring, const struct io_uring_sqe *entry)
{
	unsigned int tail = *ring_word(ring, ring->params.sq_off.tail), head = *ring_word(ring, ring->params.cq_off.head);
	struct io_uring_cqe *done = (void *)(ring->rings + ring->params.cq_off.cqes);
	int result;

	*ring->entry = *entry;
	*ring_word(ring, ring->params.sq_off.array) = 0;
	*ring_word(ring, ring->params.sq_off.tail) = tail + 1;
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	result = done[head & *ring_word(ring, ring->params.cq_off.ring_mask)].res;
	*ring_word(ring, ring->params.cq_off.head) = head + 1;
	return result;
}

static void ringed(const char *what, int result)
{
	note("%s: %d%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerrorname_np(-result) : "");
}

/* connect() itself by libc: past it a peer's address is unreachable */
static void waited_for_with_io_uring(void)
{
	int fd = fresh(SOCK_NONBLOCK), far;
	struct io_uring_sqe entry = { .opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = POLLOUT };
	char data[8] = "";
	struct ring ring;

	if (!ring_open(&ring)) {
		note("no io_uring here\n");
		return;
	}
	begun("connect", join(fd, &there));
	ringed("poll", ring_do(&ring, &entry));
	error_told(fd);
	far = accepted();
	entry = (struct io_uring_sqe){ .opcode = IORING_OP_SEND, .fd = fd, .addr = (uintptr_t)"ping", .len = 4 };
	ringed("send", ring_do(&ring, &entry));
	wait_for(far, POLLIN);
	told("far recv", recv(far, data, sizeof(data), MSG_DONTWAIT));
	told("far send", send(far, "pong!", 5, MSG_NOSIGNAL));
	entry = (struct io_uring_sqe){ .opcode = IORING_OP_RECV, .fd = fd, .addr = (uintptr_t)data, .len = 8 };
	ringed("recv", ring_do(&ring, &entry));
	note("\"%.8s\"\n", data);
	named(fd);
	close(far);
	ringed("recv", ring_do(&ring, &entry));
	munmap(ring.rings, PAGE);
	munmap(ring.entry, PAGE);
	close(ring.fd);
	close(fd);
}

/* The program's own sandbox: from now on only what a client needs that is connected; all else kills */
static void confine(void)
{
	static const unsigned int allowed[] = {
		SYS_sendto, SYS_recvfrom, SYS_read, SYS_write, SYS_poll, SYS_getpeername, SYS_shutdown, SYS_close,
		SYS_exit_group, SYS_accept, SYS_accept4, SYS_ppoll,
	};
	enum { COUNT = sizeof(allowed) / sizeof(allowed[0]) };
	struct sock_filter code[COUNT + 3] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		[COUNT + 1] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		[COUNT + 2] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = COUNT + 3, .filter = code };
	unsigned int i;

	for (i = 0; i < COUNT; i++)
		code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], (unsigned char)(COUNT - i), 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(3);
}

static void a_client_confines_itself(void)
{
	int fd = fresh(0), status;
	pid_t pid;

	told("connect", join(fd, &there));
	named(fd);
	pid = fork();
	if (pid == 0) {
		confine();
		talked(fd);
		shutdown(fd, SHUT_RDWR);
		close(fd);
		_exit(strstr(account[side], "\"pong!\"") ? 0 : 2);
	}
	waitpid(pid, &status, 0);
	note("it ended with %#x\n", (unsigned int)status);
	close(fd);
}

struct waiter {
	int fd, error;
	_Atomic(pid_t) tid;
};

static void *wait_for_silent(void *argument)
{
	struct waiter *waiter = argument;

	waiter->tid = (pid_t)syscall(SYS_gettid);
	waiter->error = join(waiter->fd, &silent) < 0 ? errno : 0;
	return NULL;
}

/* Does the thread wait in the kernel's connect() of this socket? */
static bool waits(const struct waiter *waiter)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	char path[64], text[64] = "";
	int file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)waiter->tid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (read(file, text, sizeof(text) - 1) < 0)
		strcpy(text, "running");
	close(file);
	getsockopt(waiter->fd, IPPROTO_TCP, TCP_INFO, &info, &size);
	return atoi(text) == SYS_connect && info.tcpi_state == TCP_SYN_SENT;
}

/* A thread waits in connect() while another one ends that, by @end() */
static void ended_by_another_thread(int (*end)(int))
{
	struct waiter waiter = { .fd = fresh(0) };
	double limit = seconds() + LIMIT_MS / 1000.0;
	pthread_t thread;

	if (access("/proc/self/syscall", R_OK) < 0) {
		note("after chroot() or setuid() nobody tells when the other thread waits\n");
		close(waiter.fd);
		return;
	}
	pthread_create(&thread, NULL, wait_for_silent, &waiter);
	while (!waits(&waiter) && seconds() < limit)
		poll(NULL, 0, 1);
	told("end", end(waiter.fd));
	pthread_join(thread, NULL);
	note("connect: %s\n", waiter.error ? strerrorname_np(waiter.error) : "0");
	error_told(waiter.fd);
	named(waiter.fd);
	told("connect", join(waiter.fd, &there));
	talked(waiter.fd);
	close(waiter.fd);
}

static int shut(int fd)
{
	return shutdown(fd, SHUT_RDWR);
}

static void shut_by_another_thread(void) { ended_by_another_thread(shut); }
static void undone_by_another_thread(void) { ended_by_another_thread(undo); }

/* Without waiting; that it was there for somebody else is over.  @fd is closed */
static void connected_to_the_host(int fd)
{
	begun("connect", join(fd, &plain));
	polled(fd);
	told("write", write(fd, "", 0));
	named_as_host(fd);
	error_told(fd);
	talked(fd);
	named_as_host(fd);
	close(fd);
}

static void a_host_after_a_refusal(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &refusing));
	woken(fd);
	named(fd);
	told("connect", join(fd, &plain));
	connected_to_the_host(fd);
	fd = fresh(0);
	told("connect", join(fd, &refusing));
	told("connect", join(fd, &plain));
	named_as_host(fd);
	talked(fd);
	close(fd);
}

/* The same socket by another number */
static void a_host_by_a_duplicate_after_a_refusal(void)
{
	int fd = fresh(SOCK_NONBLOCK), other = dup(fd);

	begun("connect", join(fd, &refusing));
	woken(fd);
	told("connect", join(other, &plain));
	close(fd);
	connected_to_the_host(other);
	fd = fresh(SOCK_NONBLOCK);
	other = dup(fd);
	begun("connect", join(fd, &refusing));
	woken(fd);
	named(fd);
	told("connect", join(other, &plain));
	close(fd);
	connected_to_the_host(other);
}

static void a_host_after_it_was_shut(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &silent));
	told("connect", join(fd, &plain));
	told("shutdown", shutdown(fd, SHUT_RDWR));
	connected_to_the_host(fd);
}

/* It is one socket: who connects it meanwhile gets what the first connect() comes to */
static void a_host_while_it_connects(void)
{
	int fd = fresh(SOCK_NONBLOCK);

	begun("connect", join(fd, &there));
	fcntl(fd, F_SETFL, 0);
	told("connect", join(fd, &plain));
	named(fd);
	told("connect", join(fd, &plain));
	talked(fd);
	close(fd);
	fd = fresh(SOCK_NONBLOCK);
	begun("connect", join(fd, &there));
	polled(fd);
	told("connect", join(fd, &plain));
	told("connect", join(fd, &plain));
	named(fd);
	talked(fd);
	close(fd);
	fd = fresh(SOCK_NONBLOCK);
	begun("connect", join(fd, &refusing));
	fcntl(fd, F_SETFL, 0);
	told("connect", join(fd, &plain));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	connected_to_the_host(fd);
}

/* ------------------------------------------------------------ both sides */

static const struct { const char *name; void (*run)(void); } cases[] = {
#define CASE(name) { #name, name }
	CASE(again_after_a_refusal),
	CASE(a_refusal_that_so_error_told),
	CASE(again_after_a_refusal_that_connect_told),
	CASE(undone_while_it_connects),
	CASE(undone_when_it_is_connected),
	CASE(undone_before_it_was_told),
	CASE(undone_after_a_refusal),
	CASE(shut_before_it_is_connected),
	CASE(shut_twice_while_it_connects),
	CASE(shut_and_the_resolver_is_gone),
	CASE(shut_by_another_thread),
	CASE(undone_by_another_thread),
	CASE(a_host_after_a_refusal),
	CASE(a_host_by_a_duplicate_after_a_refusal),
	CASE(a_host_after_it_was_shut),
	CASE(a_host_while_it_connects),
	CASE(it_waits_after_all),
	CASE(its_time_is_over),
	CASE(questions_while_it_connects),
	CASE(questions_when_it_is_connected),
	CASE(select_sees_high_numbers),
	CASE(edges_of_a_connection),
	CASE(edges_of_a_refusal),
	CASE(edges_above_the_limit),
	CASE(signals_come_by_a_descriptor),
	CASE(signals_tell_what_came_before),
	CASE(fast_open),
	CASE(fast_open_by_option),
	CASE(a_process_without_descriptors),
	CASE(with_no_descriptor_left),
	CASE(a_refusal_with_no_descriptor_left),
	CASE(with_one_descriptor_left),
	CASE(with_two_descriptors_left),
	CASE(with_three_descriptors_left),
	CASE(waited_for_with_io_uring),
	CASE(a_client_confines_itself),
};

/* @port of this host; 0: any */
static struct address local(uint16_t port)
{
	const struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port),
					  .sin6_addr = in6addr_loopback };
	struct address address = { .size = family == AF_INET ? sizeof(in) : sizeof(in6) };

	memcpy(&address.ss, family == AF_INET ? (const void *)&in : &in6, address.size);
	return address;
}

/*
 * The same, of a socket of IPv6 by a v4-mapped address: so a peer's socket waits, and Linux sends for ever by IPv4 what
 * was connected to such a one once (tcp_v6_connect() changes the socket's operations, nothing changes them back)
 */
static struct address mapped(uint16_t port)
{
	struct address address = local(port);

	if (family == AF_INET6)
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &((struct sockaddr_in6 *)&address.ss)->sin6_addr);
	return address;
}

/* Bind @fd to some port of this host, that nobody else gets. Return: where */
static struct address taken(int fd)
{
	struct address address = local(0);

	if (bind(fd, (struct sockaddr *)&address.ss, address.size) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address.ss, &address.size) < 0)
		abort();
	return address;
}

/* A listener whose queue is full: the kernel drops SYNs */
static struct address full(void)
{
	int fd = fresh(0), i;
	struct address address = taken(fd);

	listen(fd, 0);
	for (i = 0; i < 3; i++)
		if (join(fresh(SOCK_NONBLOCK), &address) < 0 && errno != EINPROGRESS)
			abort();
	return address;
}

/* What the peers' ports are on 127.0.0.1, hosts' on the loopback address of the family: one listener has both */
static uint16_t listen_for_both(void)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	socklen_t size = sizeof(any);

	listener = tcp(AF_INET6, SOCK_CLOEXEC);
	if (bind(listener, (struct sockaddr *)&any, size) < 0 || listen(listener, 16) < 0 ||
	    getsockname(listener, (struct sockaddr *)&any, &size) < 0)
		abort();
	return ntohs(any.sin6_port);
}

static void differ(void)
{
	char *rest[2] = { account[0], account[1] };

	while (rest[0] || rest[1]) {
		char *host = strsep(&rest[0], "\n"), *peer = strsep(&rest[1], "\n");

		host = host ? host : (char[]){ "" };
		peer = peer ? peer : (char[]){ "" };
		printf("# %-40s%s%s\n", host, strcmp(host, peer) ? "| " : "", strcmp(host, peer) ? peer : "");
	}
}

/* Return: false when this process may not */
static bool move_to(const char *surroundings)
{
	if (strcmp(surroundings, "six") == 0)
		family = AF_INET6;
	else if (surroundings[0] == '/')
		return chroot(surroundings) == 0 && chdir("/") == 0;
	else
		return setuid(NOBODY) == 0;
	return true;
}

int main(int argc, char **argv)
{
	struct address nobody, queue;
	uint16_t port = listen_for_both();
	unsigned int i, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	peer("bob", AF_INET, port);	/* starts the resolver, which may be out of reach below */
	if (argc > 2 && !move_to(argv[2]))
		return printf("SKIP %s %s: not permitted\n", argv[1], argv[2]) < 0;
	nobody = taken(fresh(0));
	queue = full();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (argc > 1 && !strstr(cases[i].name, argv[1]))
			continue;
		memset(account, 0, sizeof(account));
		for (side = 0; side < 2; side++) {
			plain = mapped(port);
			there = side ? peer("bob", family, port) : local(port);
			refusing = side ? peer("refuser", family, port) : nobody;
			silent = side ? peer("never", family, port) : queue;
			cases[i].run();
			while (events_of(listener, 0))
				close(accept(listener, NULL, NULL));
		}
		if (strcmp(account[0], account[1]) == 0) {
			printf("ok - %s\n", cases[i].name);
			continue;
		}
		failed++;
		printf("not ok - %s\n", cases[i].name);
		differ();
	}
	return failed != 0;
}
