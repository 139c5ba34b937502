/* SPDX-License-Identifier: MIT */
/*
 * pending.h - sockets of the program that wait for their peer
 */
#ifndef PUNCH_SHIM_PENDING_H
#define PUNCH_SHIM_PENDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shim/remote.h"

enum pending_answer {
	PENDING_NOT,		/* no parked socket: the kernel's answer is right */
	PENDING_CONNECTING,	/* still on its way: the kernel's answer is right */
	PENDING_DONE,		/* the peer's socket is in place now */
	PENDING_FAILED,		/* it will not connect; the error has not been told to the program yet */
};

/**
 * pending_turn() - wait until no other thread is about to park this socket
 * Two that connect it at once would each see it unconnected, and one would restore the flags that the other
 * has set for the resolver.  Inside the guard.
 * Return: what pending_turn_over() wants
 */
uint64_t pending_turn(int fd);

/** pending_turn_over() - the next thread's turn. @turn: pending_turn() */
void pending_turn_over(uint64_t turn);

/** pending_add() - @fd has been parked. @remote: what to show once it is connected */
void pending_add(int fd, const struct remote *remote);

/* How many sockets are parked, about; for pending_any() alone */
extern _Atomic(uint32_t) pending_alive;

/**
 * pending_is_fresh() - for pending_any() alone: may the youngest still be parked, so that the count means something?
 */
bool pending_is_fresh(void);

/** pending_any() - is any socket parked? No system call. While it says no, nothing else here is called */
static inline bool pending_any(void)
{
	return atomic_load_explicit(&pending_alive, memory_order_relaxed) != 0 && pending_is_fresh();
}

/**
 * pending_may_be() - was this number parked, and not settled since?  No system call, so that send() can afford it;
 * duplicates of the descriptor are missed
 */
bool pending_may_be(int fd);

/** pending_has() - was this socket parked, by whatever number, and not settled since?  One system call, no guard */
bool pending_has(int fd);

/**
 * pending_settle() - put the peer's socket in place if it is there by now
 * @call:	by which the program asks, for the log
 * @error:	PENDING_FAILED: errno for the program
 * Call inside a guard
 */
enum pending_answer pending_settle(int fd, const char *call, int *error);

/**
 * pending_take() - put in place what was claimed before, when swap_socket() was interrupted
 * @fresh:	the peer's socket; taken over
 * Return: as pending_settle(); PENDING_CONNECTING: interrupted again
 */
enum pending_answer pending_take(int fd, int fresh, int *error);

/** pending_forget() - the program has been told of the failure, or disconnected @fd */
void pending_forget(int fd);

/** pending_forget_cookie() - the same, of a socket that is not at hand any more. @cookie: its SO_COOKIE */
void pending_forget_cookie(uint64_t cookie);

/** pending_getsockopt() - as getsockopt(SOL_SOCKET, SO_ERROR), which settles @fd */
int pending_getsockopt(int fd, void *value, socklen_t *size);

/**
 * pending_connected() - for getpeername(): false, with errno ENOTCONN, when @fd failed to connect
 * (whose error stays, for SO_ERROR); otherwise the kernel is to be asked
 */
bool pending_connected(int fd);

/**
 * pending_wait() - wait in the kernel's own connect(), for sockets in blocking mode; outside of any guard
 * @slot:	of the peer
 * @first:	the program's first connect() of this socket
 * Return: 0 and the peer's socket is in place, or -1 and errno as connect() gives it
 */
int pending_wait(int fd, uint32_t slot, bool first);

#endif
