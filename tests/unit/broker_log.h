/* SPDX-License-Identifier: MIT */
/*
 * broker_log.h - a broker whose wishes are lines of text, for the test_broker* programs
 */
#ifndef TESTS_BROKER_LOG_H
#define TESTS_BROKER_LOG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/clock.h"
#include "rendezvous/broker.h"

#define START (1000 * SECOND)
#define WARM (START + 60 * SECOND)	/* past RDV_GRACE */

/** struct peer - a connection, as the broker sees it */
struct peer {
	const char *name;
	uint32_t rtt_us;
	size_t waiting;			/* bytes for it to read */
	struct broker_node *node;
};

extern struct broker *broker;
extern struct peer alice, bob, carol, bob2;	/* round-trip times 20, 60, 0 and 10 ms */
extern const struct endpoint somewhere;	/* where they all are */
extern int find_answer;		/* what ops->find returns */
extern int forward_answer;	/* and ops->forward_* */

/* For cmocka, around each test */
int broker_setup(void **state);
int broker_teardown(void **state);

/** heard() - what the broker wanted since the last look, one line each: WHO<WHAT... */
const char *heard(void);

/* Keys and sessions are one letter, repeated */
const uint8_t *key_of(char name);
struct broker_payload text(const char *body);
struct broker_call make_call(char session, char caller, char callee);
void join(struct peer *peer, char key, bool receive, uint64_t now);
void invite(struct peer *peer, char session, char to, uint64_t now);
void reply(struct peer *peer, char session, const char *body, uint64_t now);

#endif
