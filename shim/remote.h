/* SPDX-License-Identifier: MIT */
/*
 * remote.h - the address under which a program sees a peer
 */
#ifndef PUNCH_SHIM_REMOTE_H
#define PUNCH_SHIM_REMOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* How a stand-in address is written in a sockaddr: as the program itself wrote it */
enum remote_form {
	REMOTE_V4,	/* AF_INET */
	REMOTE_MAPPED,	/* AF_INET6, ::ffff:239.192.x.y */
	REMOTE_V6,	/* AF_INET6, ff18:7075:6e63:6800::x */
};

/**
 * struct remote
 * @slot:	stand-in slot of the peer
 * @port:	host order
 */
struct remote {
	uint32_t slot;
	uint16_t port;
	enum remote_form form;
};

/* A remote fits into the low 36 bits of a table's value; who packs one may use the bits above */
#define REMOTE_BITS 36

/** remote_pack() - Return: what remote_unpack() takes, below 2^REMOTE_BITS */
uint64_t remote_pack(const struct remote *remote);

/** remote_unpack() - @value: remote_pack(); bits above are ignored */
struct remote remote_unpack(uint64_t value);

/**
 * remote_form_of() - the form of an address that a program has written, or the kernel
 * @address:	AF_INET or AF_INET6
 * @size:	bytes of it
 */
enum remote_form remote_form_of(const struct sockaddr *address, socklen_t size);

/**
 * remote_write() - into a program's buffer, cut off as the kernel does
 * @size:	in: bytes of memory at @address; out: of the whole address
 */
void remote_write(const struct remote *remote, struct sockaddr *address, socklen_t *size);

/** remote_put() - show @remote for the connected socket @fd. @acknowledged: connect() has returned 0 for it */
void remote_put(int fd, const struct remote *remote, bool acknowledged);

/** remote_any() - might a socket of this process be one of ours? Costs no system call */
bool remote_any(void);

/** remote_get() - what was put for @fd; @remote is out. One system call. Return: false when nothing was */
bool remote_get(int fd, struct remote *remote);

/**
 * remote_acknowledge() - is @fd ours, and is this the first connect() that may return 0?
 * Return: 0 it is; -EISCONN ours, but not the first; -ENOENT not ours
 */
int remote_acknowledge(int fd);

/** remote_forget() - @fd is about to be disconnected */
void remote_forget(int fd);

/**
 * remote_native() - @fd is being connected, or was accepted, by this process and is nobody of ours.  Spares
 * getpeername() the question whether @fd was inherited. Costs no system call
 * @address:	of the far end; whatever the program gave to connect(), be it wrong
 */
void remote_native(int fd, const struct sockaddr *address, socklen_t size);

/**
 * remote_look() - an address that the kernel wrote to a program's memory, in full
 * @fd:		whose peer it is: asked again when the memory was too small
 * @given:	bytes of memory at @address
 * @full:	bytes of the address, as the kernel said
 *
 * Return: bytes in @ss; 0 when the peer has gone meanwhile
 */
socklen_t remote_look(int fd, const struct sockaddr *address, socklen_t given, socklen_t full,
		      struct sockaddr_storage *ss);

/** remote_getpeername() - as getpeername() */
int remote_getpeername(int fd, struct sockaddr *address, socklen_t *size);

#endif
