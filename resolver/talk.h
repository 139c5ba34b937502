/* SPDX-License-Identifier: MIT */
/*
 * talk.h - one sealed message each way on a connection that was made without a server
 */
#ifndef PUNCH_TALK_H
#define PUNCH_TALK_H

#include <event2/event.h>

#include "common/punch.pb-c.h"
#include "resolver/node.h"

struct talk;

/**
 * talk_event - the far end's message, or NULL: it closed, said something that its key did not seal, or took too long
 * Called once, never from inside talk_new(); the talk may be freed in it. The message is freed after it
 */
typedef void talk_event(void *arg, struct talk *talk, const Punch__Message *message);

/**
 * talk_new() - listen to what the far end says first
 * @fd:		connected and non-blocking; owned from here on, in any case
 * @own, @far:	keys of what we say and of what the far end says (common/meeting.h); copied
 * Return: NULL when out of memory (@fd is closed)
 */
struct talk *talk_new(struct event_base *base, int fd, const uint8_t own[32], const uint8_t far[32],
		      talk_event *event, void *arg);

/** talk_give() - from now on somebody else hears of it */
void talk_give(struct talk *talk, talk_event *event, void *arg);

/** talk_send() - our one message. Return: 0 or -errno */
int talk_send(struct talk *talk, const Punch__Message *message);

/** talk_release() - take the socket, positioned right behind the far end's message, and free the talk. Return: fd */
int talk_release(struct talk *talk);
void talk_free(struct talk *talk);

#endif
