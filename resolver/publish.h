/* SPDX-License-Identifier: MIT */
/*
 * publish.h - is what a program has just published within reach of its peers?
 */
#ifndef PUNCH_PUBLISH_H
#define PUNCH_PUBLISH_H

#include "resolver/request.h"

/**
 * publish_answer() - answer a LOCAL_LISTEN that went well, and end it
 *
 * LOCAL_OK; the text says why no peer can come yet, as "rendezvous HOST: REASON", and is empty when
 * peers can come.  The answer leaves at once, but for the first one of a resolver whose first try to reach its
 * rendezvous is under way: that one waits for its outcome, at most a second.
 */
void publish_answer(struct request *rq);

#endif
