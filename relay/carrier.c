/* SPDX-License-Identifier: MIT */
/*
 * carrier.c - what holds the bytes between two sockets
 *
 * splice() moves references to pages from socket to pipe to socket and copies
 * nothing; where the kernel gives no pipe of a useful size (descriptors or
 * pipe-user-pages-soft used up) a plain buffer does the same work by recv() and send().
 * Carriers given back empty are kept, the last used first, because its pages are warm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/carrier.h"
#include "relay/limits.h"

struct carrier {
	bool is_pipe;
	int in, out;		/* write and read end of the pipe */
	size_t start;		/* of the bytes that wait in the buffer */
	SLIST_ENTRY(carrier) idle;
	unsigned char buffer[];	/* RELAY_COPY bytes, or none */
};

static SLIST_HEAD(, carrier) idle = SLIST_HEAD_INITIALIZER(idle);
static unsigned int idle_count, pipe_count, buffer_count, pipe_limit;

static struct carrier *pipe_new(void)
{
	struct carrier *carrier;
	int fds[2], size;

	if (pipe_count >= pipe_limit || pipe2(fds, O_NONBLOCK | O_CLOEXEC))
		return NULL;
	size = fcntl(fds[1], F_SETPIPE_SZ, RELAY_PIPE);
	if (size < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	carrier = size < RELAY_PIPE_LEAST ? NULL : calloc(1, sizeof(*carrier));
	if (!carrier) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	carrier->is_pipe = true;
	carrier->out = fds[0];
	carrier->in = fds[1];
	pipe_count++;
	return carrier;
}

static struct carrier *buffer_new(void)
{
	struct carrier *carrier = malloc(sizeof(*carrier) + RELAY_COPY);

	if (!carrier)
		return NULL;
	carrier->is_pipe = false;
	carrier->start = 0;
	buffer_count++;
	return carrier;
}

static void carrier_free(struct carrier *carrier)
{
	if (carrier->is_pipe) {
		close(carrier->in);
		close(carrier->out);
		pipe_count--;
	} else {
		buffer_count--;
	}
	free(carrier);
}

struct carrier *carrier_borrow(bool copy)
{
	struct carrier *carrier = SLIST_FIRST(&idle);

	if (copy)
		return buffer_new();
	if (carrier) {
		SLIST_REMOVE_HEAD(&idle, idle);
		idle_count--;
		return carrier;
	}
	carrier = pipe_new();
	return carrier ? carrier : buffer_new();
}

void carrier_return(struct carrier *carrier, size_t waiting)
{
	/* Only pipes are kept: a buffer is made when pipes are short, which passes */
	if (waiting || !carrier->is_pipe || idle_count >= RELAY_CARRIERS_IDLE) {
		carrier_free(carrier);
		return;
	}
	SLIST_INSERT_HEAD(&idle, carrier, idle);
	idle_count++;
}

ssize_t carrier_fill(struct carrier *carrier, int from)
{
	ssize_t n;

	do {
		if (carrier->is_pipe)
			n = splice(from, NULL, carrier->in, NULL, RELAY_PIPE,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		else
			n = recv(from, carrier->buffer, RELAY_COPY, 0);
	} while (n < 0 && errno == EINTR);
	carrier->start = 0;
	return n < 0 ? -errno : n;
}

ssize_t carrier_drain(struct carrier *carrier, int to, size_t waiting)
{
	ssize_t n;

	do {
		if (carrier->is_pipe)
			n = splice(carrier->out, NULL, to, NULL, waiting,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		else
			n = send(to, carrier->buffer + carrier->start, waiting, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		carrier->start += (size_t)n;
	return n < 0 ? -errno : n;
}

void carrier_limit(unsigned int pipes)
{
	pipe_limit = pipes;
}

void carrier_count(unsigned int *pipes, unsigned int *buffers)
{
	*pipes = pipe_count;
	*buffers = buffer_count;
}

void carrier_close(void)
{
	struct carrier *carrier;

	while ((carrier = SLIST_FIRST(&idle))) {
		SLIST_REMOVE_HEAD(&idle, idle);
		carrier_free(carrier);
	}
	idle_count = 0;
}
