/* SPDX-License-Identifier: MIT */
/*
 * talk.c - one sealed message each way on a connection that was made without a server
 *
 * A frame (common/frame.h) whose body is a Message under AES-256-GCM.  Exactly that frame is read: what follows is the
 * path's preamble.  Whoever does not have the key hears nothing from us, whatever he says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "common/frame.h"
#include "common/log.h"
#include "common/meeting.h"
#include "resolver/talk.h"

/* An honest far end has its message ready when the connection is made; three lost packets are
 * made up for in this time */
static const struct timeval patience = { .tv_sec = 5 };

struct talk {
	int fd;
	uint8_t own[32], far[32];
	struct event *read;
	struct event *timer;
	uint8_t *in;
	size_t have;
	talk_event *event;
	void *arg;
};

static void over(struct talk *talk, const Punch__Message *message)
{
	event_del(talk->read);
	event_del(talk->timer);
	talk->event(talk->arg, talk, message);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	log_debug("talk %d: nothing was said in time", ((struct talk *)arg)->fd);
	over(arg, NULL);
}

static void on_whole(struct talk *talk)
{
	size_t size = talk->have - FRAME_HEADER;
	Punch__Message *message = NULL;
	uint8_t *plain = malloc(size);
	ssize_t n;

	n = plain ? meeting_open(talk->far, talk->in + FRAME_HEADER, size, plain) : -ENOMEM;
	if (n > 0)
		message = punch__message__unpack(NULL, (size_t)n, plain);
	if (!message)
		log_debug("talk %d: what was said is not sealed by the peer", talk->fd);
	free(plain);
	over(talk, message);
	if (message)
		punch__message__free_unpacked(message, NULL);
}

/* Bytes that may be read without taking one that belongs to the path; 0: the frame is whole; negative: it is none */
static ssize_t wanted(const struct talk *talk)
{
	ssize_t size = frame_size(talk->in, talk->have);

	if (!size)
		return (ssize_t)(FRAME_HEADER - talk->have);
	return size < 0 ? size : size - (ssize_t)talk->have;
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	struct talk *talk = arg;
	ssize_t n, more = wanted(talk);

	(void)what;
	n = more > 0 ? recv(fd, talk->in + talk->have, (size_t)more, 0) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		over(talk, NULL);
		return;
	}
	talk->have += (size_t)n;
	more = wanted(talk);
	if (more < 0)
		over(talk, NULL);
	else if (!more)
		on_whole(talk);
}

struct talk *talk_new(struct event_base *base, int fd, const uint8_t own[32], const uint8_t far[32],
		      talk_event *event, void *arg)
{
	struct talk *talk = calloc(1, sizeof(*talk));

	if (!talk) {
		close(fd);
		return NULL;
	}
	talk->fd = fd;
	memcpy(talk->own, own, 32);
	memcpy(talk->far, far, 32);
	talk_give(talk, event, arg);
	talk->in = malloc(FRAME_HEADER + LIMIT_FRAME);
	talk->read = event_new(base, fd, EV_READ | EV_PERSIST, on_read, talk);
	talk->timer = event_new(base, -1, 0, on_timer, talk);
	if (!talk->in || !talk->read || !talk->timer || event_add(talk->read, NULL) ||
	    event_add(talk->timer, &patience)) {
		talk_free(talk);
		return NULL;
	}
	return talk;
}

void talk_give(struct talk *talk, talk_event *event, void *arg)
{
	talk->event = event;
	talk->arg = arg;
}

int talk_send(struct talk *talk, const Punch__Message *message)
{
	size_t size = punch__message__get_packed_size(message), whole = FRAME_HEADER + size + MEETING_SEAL;
	uint8_t *plain = malloc(size), *frame = malloc(whole);
	int rc = -ENOMEM;

	if (size + MEETING_SEAL > LIMIT_FRAME)
		rc = -EMSGSIZE;
	else if (plain && frame) {
		punch__message__pack(message, plain);
		frame[0] = frame[1] = 0;	/* LIMIT_FRAME has 15 bits */
		frame[2] = (uint8_t)((size + MEETING_SEAL) >> 8);
		frame[3] = (uint8_t)(size + MEETING_SEAL);
		rc = meeting_seal(talk->own, plain, size, frame + FRAME_HEADER);
		/* Some hundred bytes into an empty send buffer: all, or an error */
		if (rc == 0 && send(talk->fd, frame, whole, MSG_NOSIGNAL) != (ssize_t)whole)
			rc = -ECONNRESET;
	}
	free(plain);
	free(frame);
	return rc;
}

int talk_release(struct talk *talk)
{
	int fd = talk->fd;

	event_del(talk->read);
	talk->fd = -1;
	talk_free(talk);
	return fd;
}

void talk_free(struct talk *talk)
{
	if (!talk)
		return;
	if (talk->read)
		event_free(talk->read);
	if (talk->timer)
		event_free(talk->timer);
	if (talk->fd >= 0)
		close(talk->fd);
	OPENSSL_cleanse(talk->own, sizeof(talk->own));
	OPENSSL_cleanse(talk->far, sizeof(talk->far));
	free(talk->in);
	free(talk);
}
