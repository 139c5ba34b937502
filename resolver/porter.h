/* SPDX-License-Identifier: MIT */
/*
 * porter.h - the process that receives what other users pass
 *
 * A descriptor that a stranger passes can hold up whoever closes it, for as long as he likes: a TCP socket with
 * SO_LINGER and bytes that nobody reads, a file of a file system that he serves.  It need not even be received:
 * it goes with the connection in whose queue it lies.  So no connection of another user is ever read or closed by
 * the resolver itself.  It is handed to a porter, a process for that one user, who holds up nobody but himself.
 *
 *	stranger --connects--> resolver --connection--> porter of his user, who leaves it alone until
 *	                       resolver --a word--> the resolver's own copy is closed: that must never be the last
 *	stranger --request, descriptor--> porter
 *	         <--refusal-------------- porter
 *	                     resolver <--a socket pair's end-- porter	a request that may be heard
 *	                     resolver <--struct porter_request, over it-- porter
 *	                     resolver --reply, text, descriptor--> porter, who passes them on
 *
 * Claims reach the resolver without the descriptor, as what it proves.  Only who has the token, and with it the
 * user's own rights, has a descriptor passed on.
 */
#ifndef PUNCH_PORTER_H
#define PUNCH_PORTER_H

#include "common/local.h"
#include "resolver/proof.h"

#define PORTER_LINK_FD	3	/* PROCESS_FD */

/* Over the link, a byte each; a connection also tells that those before it are closed. A porter's own: he is up */
enum porter_word { PORTER_CONNECTION = 'c', PORTER_CLOSED = 'd', PORTER_UP = 'u' };

/** struct porter_request - the first packet of another user's request to the resolver */
struct porter_request {
	struct local_request in;
	struct proof proof;
};

/**
 * struct porter_idle - a porter's word that he has nothing to do; a request comes with a descriptor, this without
 * @handled:	connections received up to now: where the resolver has sent more, one is on its way
 */
struct porter_idle {
	uint32_t handled;
};

/**
 * porter_run() - be one; ends with its link
 * Executed anew by the resolver (process.h), for a mere copy of it would have its keys in
 * memory. The first packet from the link, PORTER_LINK_FD, is the resolver's token.
 */
_Noreturn void porter_run(void);

/**
 * porter_refusal() - to a stranger who may not ask. Return: LOCAL_DENIED, or LOCAL_OTHER_CONFIG
 * where he is to look further
 */
enum local_status porter_refusal(const struct local_request *in);

#endif
