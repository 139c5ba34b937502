/* SPDX-License-Identifier: MIT */
/*
 * fuzz_porter.c - other users and their porter (resolver/porter.h): what a stranger sends to it, and what it sends to the resolver
 *
 * The resolver's local side runs in this very process (tests/unit/local_side.h), and so does the porter, in turns with it: where
 * the resolver starts a process for a user, the link's end comes to us.  An input is a list of steps (enum step),
 * the strangers' and those of a porter that has been taken over: it says what it likes on the link, and hands in
 * sockets with requests of its own making.  A request can be laid over a good one, which for the taken-over porter has the token.
 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "resolver/porter.h"

#undef PORTER_LINK_FD
#define PORTER_LINK_FD	900	/* 3 is libFuzzer's */

#include "resolver/porter.c"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/local_side.h"
#include "tests/unit/scratch.h"

#define STRANGERS	4
#define STEPS		12	/* of one input */
#define DESCRIPTORS	200	/* of the process between two inputs: what the resolver keeps for seconds, as parked sockets */
#define TURNS		4	/* of resolver and porter after each step */
#define CHILD		INT32_MAX	/* number of the process that does not run */

#define TRUSTED		32	/* in the head of an ASK */

enum step {
	STEP_CONNECT,		/* a stranger comes */
	STEP_SEND,		/* his packet, as it is */
	STEP_ASK,		/* laid over a good request */
	STEP_LEAVE,
	STEP_WORD,		/* the porter's packet on the link */
	STEP_PASS,		/* it hands in what it likes, with the chunk as its packet */
	STEP_HAND_IN,		/* laid over a good request of a porter's */
	STEP_MORE,		/* another packet over the socket that was handed in */
};

static struct event_base *base;
static bool foreign;		/* who connects now is another user */
static bool there;		/* the porter runs */
static bool told;		/* it knows the token */
static bool left;		/* the resolver has hung up on it, and starts another one when it has looked for its end */
static int strangers[STRANGERS], inner;

/* ------------------------------------------------------------ the process that is none */

pid_t __wrap_process_start(char *const argv[], const int fds[], int count, bool bare);
pid_t __wrap_process_start(char *const argv[], const int fds[], int count, bool bare)
{
	MUST(bare && count == 1 && strcmp(argv[1], "--porter") == 0);
	MUST(dup2(fds[0], PORTER_LINK_FD) == PORTER_LINK_FD);
	there = true;
	told = false;
	return CHILD;
}

int __wrap_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number)
{
	MUST(pid == CHILD && number == SIGKILL);
	return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options);
pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	(void)status;
	(void)options;
	there = left = false;
	return pid;
}

/* Nobody to hold connections while they are closed: ours hold nobody up */
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	errno = EAGAIN;
	return -1;
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return __real_geteuid() + foreign;
}

/* What porter_run() does, and its end where the resolver has hung up */
static void porter_turn(void)
{
	char byte;
	int pass;
	ssize_t n;

	if (!there || left)
		return;
	if (!told) {
		n = local_recv(PORTER_LINK_FD, porter.token, LOCAL_TOKEN, &pass);
		told = n == LOCAL_TOKEN;
		return;
	}
	n = recv(PORTER_LINK_FD, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		while (porter.count)
			guest_remove(porter.count - 1);
		porter.handled = 0;
		left = true;
		return;
	}
	if (n < 0 && !porter.count)
		return;		/* it would say that it is idle, and is let go for it */
	expire();
	turn(0);
	MUST(porter.count <= PORTER_GUESTS + 1);
}

static void turns(void)
{
	int i;

	for (i = 0; i < TURNS; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		porter_turn();
	}
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* ------------------------------------------------------------ steps */

static void hang_up(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The configuration, most of its bytes, is passed over: another one is refused */
static void lay_over(void *out, size_t size, const uint8_t *data, size_t count)
{
	const size_t head = offsetof(struct local_request, config), gap = offsetof(struct local_request, peer) - head;
	uint8_t *bytes = out;
	size_t i, at;

	for (i = 0; i < count; i++) {
		at = i < head ? i : i + gap;
		if (at < size)
			bytes[at] ^= data[i];
	}
}

/* The chunk's first byte says what comes along */
static void send_chunk(int fd, const struct chunk *chunk)
{
	int pass = chunk->size ? fuzz_pass(chunk->data[0], SIDE_OPEN) : -1;

	if (fd >= 0 && chunk->size > 1)
		local_send(fd, chunk->data + 1, chunk->size - 1, pass);
	hang_up(&pass);
}

/* @trusted: a server that has dropped its privileges, and has the token from before */
static void ask(int fd, const struct chunk *chunk, bool trusted)
{
	int pass = chunk->size ? fuzz_pass(chunk->data[0], SIDE_SERVICE) : -1;
	struct local_request request;

	side_request(&request, LOCAL_STATUS);
	if (trusted)
		memcpy(request.token, porter.token, LOCAL_TOKEN);
	if (chunk->size)
		lay_over(&request, sizeof(request), chunk->data + 1, chunk->size - 1);
	if (request.kind == LOCAL_STOP || request.kind == LOCAL_YIELD)	/* would end this process */
		request.kind = LOCAL_NAME;
	if (fd >= 0)
		local_send(fd, &request, sizeof(request), pass);
	hang_up(&pass);
}

/* @good: the chunk is laid over a whole request, else it is what comes with the socket, or with something else */
static void hand_over(const struct chunk *chunk, bool good)
{
	struct porter_request request;
	int ends[2], pass = chunk->size ? fuzz_pass(chunk->data[0], SIDE_SERVICE) : -1;

	hang_up(&inner);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	inner = ends[1];
	if (good) {
		memset(&request, 0, sizeof(request));
		side_request(&request.in, LOCAL_STATUS);
		memcpy(request.in.token, porter.token, LOCAL_TOKEN);
		if (chunk->size)
			lay_over(&request, sizeof(request), chunk->data + 1, chunk->size - 1);
		if (request.in.kind == LOCAL_STOP || request.in.kind == LOCAL_YIELD)
			request.in.kind = LOCAL_NAME;
		local_send(inner, &request, sizeof(request), pass);
		local_send(PORTER_LINK_FD, "", 1, ends[0]);
	} else {
		local_send(PORTER_LINK_FD, chunk->data, chunk->size, pass >= 0 ? pass : ends[0]);
	}
	hang_up(&pass);
	close(ends[0]);
}

static void step(const struct chunk *chunk)
{
	int *stranger = &strangers[chunk->head >> 3 & (STRANGERS - 1)];

	switch ((enum step)(chunk->head & 7)) {
	case STEP_CONNECT:
		hang_up(stranger);
		*stranger = side_connect();
		foreign = true;
		event_base_loop(base, EVLOOP_NONBLOCK);
		foreign = false;
		break;
	case STEP_SEND:
		send_chunk(*stranger, chunk);
		break;
	case STEP_ASK:
		ask(*stranger, chunk, chunk->head & TRUSTED);
		break;
	case STEP_LEAVE:
		hang_up(stranger);
		break;
	case STEP_WORD:
		if (chunk->size)
			local_send(PORTER_LINK_FD, chunk->data, chunk->size, -1);
		break;
	case STEP_PASS:
		hand_over(chunk, false);
		break;
	case STEP_HAND_IN:
		hand_over(chunk, true);
		break;
	case STEP_MORE:
		send_chunk(inner, chunk);
	}
}

/* What is said to them is read */
static void listen_to_all(void)
{
	unsigned char packet[LOCAL_PACKET];
	int i, fd, pass;

	for (i = 0; i <= STRANGERS; i++) {
		fd = i < STRANGERS ? strangers[i] : inner;
		while (fd >= 0 && recv(fd, packet, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC) > 0 &&
		       local_recv(fd, packet, sizeof(packet), &pass) != 0)
			hang_up(&pass);
	}
}

/* @others: those that are neither sockets nor pipes (a splice has some): the resolver opens none while it works */
static unsigned int descriptors(unsigned int *others)
{
	DIR *list = opendir("/proc/self/fd");
	unsigned int count = 0;
	struct dirent *entry;
	struct stat st;

	MUST(list);
	*others = 0;
	while ((entry = readdir(list))) {
		count++;
		*others += fstat(atoi(entry->d_name), &st) == 0 && !S_ISSOCK(st.st_mode) && !S_ISFIFO(st.st_mode);
	}
	closedir(list);
	return count;
}

static unsigned int others;	/* before the first input */

/* Whatever came, the resolver still answers its own user, and has let go of all that it was given */
static void still_works(void)
{
	struct local_request request;
	struct local_reply reply;
	int socket = side_connect(), pass;
	unsigned int left_open;

	side_request(&request, LOCAL_NAME);
	snprintf(request.peer, sizeof(request.peer), "bob");
	MUST(local_send(socket, &request, sizeof(request), -1) == 0);
	turns();
	MUST(local_recv(socket, &reply, sizeof(reply), &pass) == (ssize_t)sizeof(reply));
	MUST(reply.magic == LOCAL_MAGIC && reply.status == LOCAL_OK && pass < 0);
	close(socket);
	turns();
	MUST(descriptors(&left_open) < DESCRIPTORS);
	MUST(left_open == others);
}

static void remove_scratch(void)
{
	scratch_teardown(NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	(void)argc;
	(void)argv;
	MUST(scratch_setup(NULL) == 0);
	atexit(remove_scratch);
	base = side_here(scratch);
	for (i = 0; i < STRANGERS; i++)
		strangers[i] = -1;
	inner = -1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct chunk chunk;
	int i;

	if (!others)	/* not before: the fuzzer itself opens a file when it merges */
		descriptors(&others);
	for (i = 0; i < STEPS && fuzz_chunk(&data, &size, &chunk); i++) {
		step(&chunk);
		turns();
		listen_to_all();
	}
	for (i = 0; i < STRANGERS; i++)
		hang_up(&strangers[i]);
	hang_up(&inner);
	turns();
	while (left)
		event_base_loop(base, EVLOOP_ONCE);
	still_works();
	return 0;
}
