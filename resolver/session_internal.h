/* SPDX-License-Identifier: MIT */
/*
 * session_internal.h - what the session_*.c files share; nobody else includes it
 */
#ifndef PUNCH_SESSION_INTERNAL_H
#define PUNCH_SESSION_INTERNAL_H

#include <sys/queue.h>

#include "common/clock.h"
#include "common/secret.h"
#include "resolver/budget.h"
#include "resolver/crypt.h"
#include "resolver/path.h"
#include "resolver/plan.h"
#include "resolver/ports.h"
#include "resolver/punch.h"
#include "resolver/relayleg.h"
#include "resolver/services.h"
#include "resolver/session.h"
#include "resolver/tether.h"

#define SESSIONS_MAX	1024	/* at once, waiting ones included: as many as LOCAL_REQUESTS and PARKED_MAX */
#define SESSIONS_SPARE	32	/* more, which live only for telling a caller "busy" */
/* of these under way to peers, the others wait: with two SYNs each the courtesy limit of 256 half-open */
#define SESSIONS_CALLING 128
#define SESSIONS_CALLED	512	/* under way from peers */

/* Descriptors: of one session two lanes (holder, two probes, listener), some dials, a relay leg, paths; and of
 * the process without any session (uplinks, prepared ports, netlink, standard ones, room to receive one) */
#define SESSION_FILES	16
#define SESSION_FILES_BASE 40
#define SESSION_PATHS	16	/* sockets of one session that are being proven */
/* of these, that came to us: strangers may hold them. The rest is for what we dial, and the relay */
#define SESSION_PATHS_CAME 12
/* without a hello; the far end's comes within a round trip, or is sent again after 200 ms and one */
#define SESSION_SILENT	(1 * SECOND)
#define SESSION_LEGS	2	/* relays tried side by side */
/* identifiers of known peers' invitations: each works once. What is repeated later opens
 * nothing, see docs/security.md */
#define SESSION_REPLAYS	1024

/* A rendezvous that is restarting is back within this; longer waiting is only annoying */
#define SESSION_UPLINK_PATIENCE	(6 * SECOND)

/* ... but a try that has come this far is not given up where names or the first packets took the time: the third SYN
 * comes after 3 s, that to a server's second address 0.25 s later */
#define SESSION_UPLINK_STEP	(3500 * MS)

/* Between two invitations to somebody who may be reconnecting, or to a server that has enough of us for now */
#define SESSION_RETRY		(500 * MS)
#define SESSION_RETRY_MOST	(4 * SECOND)	/* doubled up to this where the server is busy */

/* A peer is asked for this long after it was first said to be away: its resolver was killed and is
 * back in half a second, or its host has just changed networks.  It is the price of a wrong name, too. */
#define SESSION_OFFLINE_PATIENCE (1 * SECOND)

/* ... or for this long where the server itself has just started: nodes find it again within BACKOFF_MOST */
#define SESSION_GRACE_PATIENCE	(11 * SECOND)

/* Whole new tries, with new ports and a new invitation, when every path of one has failed before the time is over */
#define SESSION_TRIES		3
/* after Go without a path: the peer's resolver may have died meanwhile; both relay legs take a second each */
#define SESSION_TRY		(5 * SECOND)
/* left, or another one is not begun: it needs PLAN_WINDOW and some round trips */
#define SESSION_TRY_LEAST	(4 * SECOND)

/* The callee keeps an answered session for as long as its caller may try */
#define SESSION_CALLEE_LIFE	(TIMEOUT_MOST_S * SECOND)

/* A far end that is late by a retransmitted SYN or two still finds the callee listening */
#define SESSION_LATE	(4 * SECOND)

/* Of a NAT that counts, a port seen this long before the session still tells the next ones */
#define SESSION_SAMPLE	(500 * MS)

enum session_state {
	SESSION_UPLINK,		/* caller: waits for a rendezvous that is READY, or to invite again */
	SESSION_PORTS,		/* waits for prepared ports */
	SESSION_MEETING,	/* caller without a server: connects to where the peer waits (session_serverless.c) */
	SESSION_INVITED,	/* caller: invitation sent, waits for the answer */
	SESSION_ANSWERED,	/* both descriptions are known, waits for Go; the relay leg is on its way */
	SESSION_PUNCHING,	/* attempts run; ends by a nominated path or the deadline */
	SESSION_NOMINATING,	/* caller: has chosen, the nomination is being written */
	SESSION_COVERING,	/* a path is nominated; TLS is being set up on it */
	SESSION_OVER,		/* result given; freed by the next turn of the loop */
	SESSION_STATE_COUNT
};

/* One connect() under way: of an attempt, or one of many (session_mass.c) */
struct dial {
	struct session *session;
	struct mass *mass;	/* NULL: of an attempt */
	int index;		/* of the attempt */
	int fd;			/* half-open, counted in the budget; -1 none */
	struct event *event;
};

struct approach;
struct talk;

/* The port of a lane also listens: all that reaches us openly comes here */
struct lane {
	struct session *session;
	struct port *port;
	int fd;
	struct event *event;
	struct event *rest;	/* until it may accept again; NULL unless descriptors ran out */
};

/* One of the relays that were offered, on the way there */
struct leg {
	struct session *session;
	struct relayleg *leg;
};

struct session {
	TAILQ_ENTRY(session) link;
	struct node *node;
	bool caller;
	bool encrypted;			/* both sides have settled on it */
	bool queued;			/* caller in UPLINK: waits for its turn */
	bool grace;			/* a server said that it has just started */
	enum session_state state;
	uint8_t id[SESSION_SIZE];
	struct peer peer;
	uint16_t port;			/* 0: a ping, no service is wanted */
	int family;
	struct service service;		/* callee */
	enum conf_encrypt encrypt;	/* as this side wants it */
	uint32_t wish;			/* Punch__Route, as this side wants it ... */
	uint32_t route;			/* ... and both sides' combined */

	struct uplink *uplink;		/* NULL without a server */
	struct approach *approach;	/* caller without a server, from MEETING to ANSWERED */
	struct talk *talk;		/* callee without a server, until ANSWERED */
	unsigned int tried;		/* bit per uplink that said OFFLINE */
	uint64_t started, deadline;
	uint64_t resume;		/* caller in UPLINK: when to invite again */
	uint64_t patience;		/* caller in UPLINK: until when a server is waited for */
	uint64_t away_since;		/* the peer was first said to be offline; 0: never */
	unsigned int refusals;		/* "too many", by the server or by the peer */
	unsigned int tries;		/* that ended without a path */
	int excuse;			/* errno and line of the last refusal that is retried */
	char excuse_text[LOCAL_TEXT];
	uint64_t rtt;			/* us, between the peers, estimated */
	struct event *timer;

	struct ephemeral ephemeral;
	struct body invitation, answer;
	struct secret secret;
	struct description own, far;

	struct lane lanes[PLAN_LANES];
	struct ports_waiter *waiter;
	struct plan plan;
	struct punch punch;
	struct dial dials[PLAN_ATTEMPTS];
	unsigned int syns;		/* sent so far, of all tries */
	enum local_path kind;		/* of the chosen path, once it is nominated */
	uint64_t go;
	uint64_t over_at;		/* when the last attempt had failed; 0: some go on */
	struct path *paths[SESSION_PATHS];
	struct path *chosen;
	struct track track;		/* its ends */
	const char *not_direct;		/* why it is relayed, for people */
	struct crypt_job *covering;
	struct mass *mass;		/* NULL unless the plan has one */
	struct leg legs[SESSION_LEGS];
	unsigned int leg_count;
	bool disproved;			/* somebody we dialled could not prove the key */
	char relay_problem[160];
	char relay_asked[LIMIT_HOST + 16];	/* the first one, HOST:PORT */

	session_done *done;
	session_step *step;
	void *arg;
};

struct sessions {
	struct node *node;
	TAILQ_HEAD(, session) list;
	unsigned int count;
	struct budget budget;
	struct tethers *tethers;
	uint8_t replays[SESSION_REPLAYS][SESSION_SIZE];
	unsigned int replay_next;
};

/* --- session.c */

/**
 * session_new() - in UPLINK, where a caller begins; a callee goes on at once
 * Return: session_free(), or NULL (errno EAGAIN: too many, ENOMEM)
 */
struct session *session_new(struct node *node, bool caller);

/** session_free() - and all that is under way for it; nobody is told */
void session_free(struct session *s);

/** session_set_state() - logs the edge; the table in session.c has to have it */
void session_set_state(struct session *s, enum session_state state);

/**
 * session_arm() - session_advance() at @when (clock_now()'s time), from the loop; NEVER: not by
 * time. The last call counts
 */
void session_arm(struct session *s, uint64_t when);

/** session_note() - one line for punchctl ping and the debug log */
void session_note(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** session_find() - by identifier, of one role, those that are OVER left out. Return: NULL when there is none */
struct session *session_find(struct sessions *sessions, const uint8_t *id, size_t size, bool caller);

/** session_advance() - do what is due; frees a session that is OVER */
void session_advance(struct session *s);

/**
 * sessions_room() - may one more of this role be under way, for the peers' sake and by the descriptors that are left?
 */
bool sessions_room(const struct node *node, bool caller);

/** session_restart() - caller, PUNCHING or COVERING: back to UPLINK, with other ports and nothing of this try left */
void session_restart(struct session *s);

/**
 * session_fail() - OVER: its program is told, once; nothing happens to one that is over already
 * @error:	errno for the program
 */
void session_fail(struct session *s, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/** session_via() - who carries its messages, for people */
const char *session_via(const struct session *s);

/* --- session_cover.c: from a nominated path to what the program gets */

/**
 * session_cover() - @path is nominated: give its socket away, encrypted first where that was
 * agreed; the path is gone then
 */
void session_cover(struct session *s, struct path *path);

/** session_kind_name() - "LAN", "direct", "relayed" */
const char *session_kind_name(enum local_path kind);

/* --- session_memory.c */

/**
 * session_first() - who should open first, by what was seen with this peer. Return: Punch__First, for our description
 */
uint32_t session_first(const struct session *s);

/** session_learn() - a path was nominated: remember what worked */
void session_learn(struct session *s);

/* --- session_describe.c */

/**
 * session_take_ports() - a port for each lane. Return: 0, or -EAGAIN: they are being made,
 * session_advance() is called then
 */
int session_take_ports(struct session *s);

/** session_describe() - fill s->own from the ports that it has */
void session_describe(struct session *s);

/* --- session_dials.c: sockets on their way to being connected */

/** session_run_attempts() - send the SYNs that are due, as far as the budget has room */
void session_run_attempts(struct session *s);

/**
 * dial_connect() - send a SYN and wait for what comes of it
 * @dial:	its socket is closed on error
 * @local:	port, 0 any
 * @ttl:	of the first SYN alone, IPv4; 0 the system's
 * @ready:	event callback, called with @dial once the socket is connected or has failed
 * Return: 0, or -errno of connect(); -EBUSY or -EDQUOT of the budget
 */
int dial_connect(struct dial *dial, uint16_t local, const struct endpoint *to, uint8_t ttl,
		 void (*ready)(evutil_socket_t fd, short what, void *arg));

/** dial_error() - of a dial that became ready. Return: positive errno, 0 connected */
int dial_error(const struct dial *dial);

/** dial_take() - Return: its socket, which is the caller's from here on; -1 none */
int dial_take(struct dial *dial);

/** dial_close() - end it if it is under way */
void dial_close(struct dial *dial);

/** session_trust() - a path's far end is the peer: SYNs to it are not a stranger's burden any more */
void session_trust(struct session *s, const struct path *path);

/* --- session_paths.c: from two descriptions to a nominated path, alike for both roles */

/** session_listen() - on the port of each lane. Return: 0 or -errno */
int session_listen(struct session *s);

/**
 * session_add_path() - a connected socket that is to prove itself
 * @fd:		owned from here on in any case
 * @dialled:	we went there, nobody came to us
 * Return: the path, owned by the session; NULL: there is no place for it, @fd is closed
 */
struct path *session_add_path(struct session *s, int fd, enum local_path kind, bool dialled);

/** session_relays() - set out for the relays that were offered, SESSION_LEGS of them at most */
void session_relays(struct session *s, Punch__RelayOffer **offers, size_t count);

/** session_go() - both descriptions are there: PUNCHING. @go: when both sides start, clock_now()'s time */
void session_go(struct session *s, uint64_t go);

/** session_consider() - PUNCHING: send what is due, choose (caller), or give up; arms the session */
void session_consider(struct session *s);

/** session_paths_deadline() - Return: when something of the plan is due next, clock_now()'s time */
uint64_t session_paths_deadline(const struct session *s);

/** session_any_path() - has it a path, proven or not? */
bool session_any_path(const struct session *s);

/** session_barren() - caller without a path, nor a socket that may become one. Return: true when this try is over */
bool session_barren(struct session *s, uint64_t now);

/** session_paths_close() - paths, dials, listeners, relays, and the pump's work on the nominated one */
void session_paths_close(struct session *s);

/* --- session_choice.c */

/** session_choose() - caller, PUNCHING: nominate the best proven path, or arm the session for when it may */
void session_choose(struct session *s, uint64_t now);

/* --- session_mass.c: many sockets against many guesses */

/** mass_start() - what s->plan.mass says; kept in s->mass */
void mass_start(struct session *s);

/** mass_free() - close all of it; NULL is nothing */
void mass_free(struct mass *mass);

/** mass_active() - may a path still come of it? NULL: no */
bool mass_active(const struct mass *mass);

/* --- session_caller.c */

/** caller_advance() - session_advance() of a caller that is not OVER */
void caller_advance(struct session *s);

/** caller_answered() - INVITED: the callee's Answered came */
void caller_answered(struct session *s, const Punch__Answered *message);

/** caller_failed() - INVITED: the server says that it comes to nothing, or not now */
void caller_failed(struct session *s, const Punch__Failed *message);

/** caller_again() - no path came of this try: is there time for another one? Return: true when it was begun */
bool caller_again(struct session *s);

/** caller_again_left() - Return: us until no other try can be begun any more; 0: none can */
uint64_t caller_again_left(const struct session *s, uint64_t now);

/** caller_no_path() - everything was tried: fail, and say why */
void caller_no_path(struct session *s);

/** caller_covered() - OVER: @fd, owned, is what the program gets */
void caller_covered(struct session *s, int fd);

/**
 * caller_invite() - a new identifier, our description, signed, to the server or over the meeting
 * Then it is INVITED; UPLINK when it cannot be sent now; or it has failed.
 */
void caller_invite(struct session *s);

/* --- session_uplink.c: caller in UPLINK */

/** caller_uplink() - Return: one that is READY and has not said OFFLINE; NULL: none */
struct uplink *caller_uplink(struct session *s);

/** caller_no_uplink() - there is none: wait for one, or fail and say why */
void caller_no_uplink(struct session *s, uint64_t now);

/* --- session_serverless.c: without a server */

/** approach_start() - caller, UPLINK: to MEETING, or fail */
void approach_start(struct session *s);

/** approach_free() - end it if it is under way */
void approach_free(struct session *s);

/** approach_send() - to the peer, once connected. Return: 0, -ENOTCONN, or -errno of talk_send() */
int approach_send(struct session *s, const Punch__Message *message);

/** approach_no_show() - its time is over: fail, and say what is known from here */
void approach_no_show(struct session *s);

/**
 * callee_met() - somebody came to a place and has shown that it was meant
 * @talk:	owned from here on
 * @from:	whose place it was; NULL in quick mode, where anybody who knows the word may come
 */
void callee_met(struct node *node, struct talk *talk, const Punch__Invite *invite, const uint8_t from[KEY_SIZE]);

/** callee_go() - ANSWERED: the talk's socket becomes the path */
void callee_go(struct session *s);

/* --- session_callee.c */

/**
 * callee_invited() - a session for an invitation that is sound, known and new; what is not is refused in silence
 * @uplink, @talk: where it came from, and where the answer goes: one of them; @talk is owned from here on
 */
void callee_invited(struct node *node, struct uplink *uplink, struct talk *talk, const Punch__Invited *message);

/** callee_advance() - session_advance() of a callee that is not OVER */
void callee_advance(struct session *s);

/** callee_covered() - @fd, owned, is handed to the service's program; the session is freed */
void callee_covered(struct session *s, int fd);

#endif
