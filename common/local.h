/* SPDX-License-Identifier: MIT */
/*
 * local.h - INTERFACE - what shim, punchctl and resolver say to each other on one host
 *
 * Transport: AF_UNIX SOCK_SEQPACKET on an abstract name (it belongs to the
 * network namespace and is found in a chroot).  One connection a request: the
 * client connects, checks SO_PEERCRED, sends one struct local_request (with
 * at most one descriptor by SCM_RIGHTS), receives one struct local_reply (with at
 * most one descriptor), closes.  STATUS, DOCTOR, PING and STOP replies are
 * followed by text packets.  The last byte of the text is a NUL, then comes the end of file:
 * text without it was cut off.
 *
 * Names: "\0punch/UID/TAG/N" with TAG naming the configuration (LOCAL_TAG_*) and
 * N = 0 .. LOCAL_NAMES - 1.  A name is only a place to look: the client goes
 * on to the next N when the socket there belongs to another user (squatting)
 * or answers LOCAL_OTHER_CONFIG (two configurations share a tag).  The
 * resolver takes the first N that is free.
 *
 * Authority: a request is honoured when SO_PEERCRED shows the resolver's own
 * uid, or carries the resolver's token (given to its own uid in each reply, so that a
 * server that dropped privileges after listen() keeps its rights), or (claims) when the
 * passed descriptor is itself the proof: the kernel socket whose other end is ours.
 *
 * What another user sends is received by a process of its own (resolver/porter.h); the client sees no difference.
 *
 * Both ends come from one build: no versions are negotiated, other sizes are refused.
 */
#ifndef PUNCH_LOCAL_H
#define PUNCH_LOCAL_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "common/endpoint.h"
#include "common/limits.h"

#define LOCAL_MAGIC	0x70756e31u	/* "pun1" */
#define LOCAL_NAMES	8
#define LOCAL_TOKEN	16
#define LOCAL_TAG	80		/* bytes of a TAG, with its NUL */
#define LOCAL_TEXT	512		/* bytes of a message for people, with its NUL */
#define LOCAL_PACKET	4096		/* most bytes of one text packet after a reply; lines may be cut anywhere */

/* The last line of PING says how it ended: in text and in JSON by one of these, else there is a path */
#define LOCAL_PING_FAILED	": no path: "
#define LOCAL_PING_FAILED_JSON	"\"done\": false"

enum local_kind {
	LOCAL_NAME = 1,		/* name -> stand-in address (slot); fails with ENOENT when not ours */
	LOCAL_DIAL,		/* blocking connect: reply comes when the path is ready, with the socket */
	LOCAL_PARK,		/* non-blocking connect: fd = the program's unconnected socket; the
				 * resolver connects it to a parked listener and replies at once */
	LOCAL_CLAIM_PARKED,	/* fd = the program's socket; reply: the real socket, or its error, or EINPROGRESS;
				 * NOT_OURS when what the program holds is to stay, and is joined to the real one
				 * (without a token or the resolver's uid OTHER_CONFIG, as for any socket unknown) */
	LOCAL_LISTEN,		/* fd = the program's listening socket; published when it matches a service.
				 * LOCAL_OK with a text: published, but out of reach yet, and why */
	LOCAL_CLAIM_DOORBELL,	/* fd = what accept() returned; reply: the real socket and the peer's slot */
	LOCAL_STATUS,		/* followed by text (JSON) */
	LOCAL_DOCTOR,		/* followed by text (JSON) */
	LOCAL_PING,		/* followed by text lines (one JSON object each) as things happen */
	LOCAL_STOP,		/* followed by text lines: what is unpublished by it.  With an empty config, from the
				 * resolver's own user: whatever it serves */
	/* from the resolver's own user, of any config: leave if nothing is published or under
	 * way, for all names of the tag are taken; else EBUSY */
	LOCAL_YIELD,
	LOCAL_DRAIN,		/* fd = a socket of the kernel's TLS that a program closes while its buffer is full;
				 * kept until nothing is left over beside that. NOT_OURS: it is none */
	LOCAL_DRAIN_END,	/* the same of one that it shuts down: then shutdown(SHUT_WR) */
	LOCAL_KIND_COUNT
};

/**
 * struct local_config - which configuration a request is for
 * @path:	absolute path of punch.conf; empty in quick mode
 * @secret:	quick mode; empty otherwise
 * @as:		quick mode: own name, may be empty
 * @rendezvous:	quick mode: HOST[:PORT]
 */
struct local_config {
	char path[LIMIT_PATH];
	char secret[LIMIT_SECRET];
	char as[LIMIT_NAME];
	char rendezvous[LIMIT_HOST];
};

struct local_request {
	uint32_t magic;
	uint32_t kind;			/* enum local_kind */
	uint8_t token[LOCAL_TOKEN];	/* zero when the client has none */
	struct local_config config;
	char peer[LIMIT_HOST];		/* NAME, DIAL, PARK, PING: name, alias, or "" when only target is known */
	/* DIAL, PARK: stand-in or alias address with port; port alone where peer is given;
	 * LISTEN: port to publish when it is not the socket's own (punchctl serve), else 0 */
	struct endpoint target;
	uint32_t family;		/* DIAL: AF_INET or AF_INET6, of the program's socket */
	uint32_t timeout_ms;		/* DIAL, PARK, PING */
	uint32_t route;			/* Punch__Route: PUNCH_ROUTE of the environment, 0 when unset */
	uint32_t as_json;		/* STATUS, DOCTOR, PING: 1 JSON, 0 text for people */
	uint32_t copy;			/* CLAIM_PARKED: 1 the real socket cannot take its place: copy */
};

enum local_status {
	LOCAL_OK = 0,
	LOCAL_FAILED,			/* error and text say why */
	LOCAL_NOT_OURS,			/* no such name, service, doorbell or parked socket: treat as ordinary */
	LOCAL_OTHER_CONFIG,		/* this resolver serves another configuration: try the next name */
	LOCAL_DENIED,			/* another user's */
};

struct local_reply {
	uint32_t magic;
	uint32_t status;		/* enum local_status */
	int32_t error;			/* errno for the program */
	uint32_t slot;			/* stand-in slot of the peer */
	struct endpoint remote;		/* real address of the path's other end */
	uint8_t token[LOCAL_TOKEN];
	uint32_t path;			/* enum local_path */
	uint32_t setup_us;		/* time from request to proven path */
	char peer[LIMIT_HOST];
	char text[LOCAL_TEXT];		/* one line for people, without newline */
};

enum local_path {
	LOCAL_PATH_NONE = 0,
	LOCAL_PATH_LAN,			/* host candidate */
	LOCAL_PATH_DIRECT,
	LOCAL_PATH_RELAY,
};

/** local_has_text() - do text packets follow the reply to this kind? */
static inline int local_has_text(uint32_t kind)
{
	return kind == LOCAL_STATUS || kind == LOCAL_DOCTOR || kind == LOCAL_PING || kind == LOCAL_STOP;
}

/**
 * local_address() - abstract socket address of a resolver
 * @sun:	filled in
 * @uid:	whose resolver
 * @config:	path gives TAG "f-DEV-INO-BASENAME" of the configuration's folder (stat()), quick mode "q-AS"
 * @n:		0 .. LOCAL_NAMES - 1
 * Return: length for bind()/connect(), or -errno of stat() on the folder
 */
int local_address(struct sockaddr_un *sun, uid_t uid, const struct local_config *config, unsigned int n);

/**
 * local_tag() - the TAG alone, for who must find the resolver later, when the folder is
 * out of reach (chroot, dropped privileges)
 * Return: 0 or -errno of stat() on the folder
 */
int local_tag(char tag[LOCAL_TAG], const struct local_config *config);

/** local_tag_of() - the same for the absolute path of a punch.conf */
int local_tag_of(char tag[LOCAL_TAG], const char *path);

/** local_address_of() - as local_address(), for a TAG. Return: length */
int local_address_of(struct sockaddr_un *sun, uid_t uid, const char *tag, unsigned int n);

/** local_config_equal() - same configuration? (all fields; secrets compared in constant time) */
int local_config_equal(const struct local_config *a, const struct local_config *b);

/**
 * local_send() - one packet with at most one descriptor; EINTR is retried, no SIGPIPE
 * @fd:		socket
 * @data:	packet
 * @size:	its bytes
 * @pass:	descriptor to pass, or -1
 * Return: 0 or -errno
 */
int local_send(int fd, const void *data, size_t size, int pass);

/**
 * local_recv() - one packet with at most one descriptor (received O_CLOEXEC; surplus ones are closed)
 * @pass:	descriptor received, or -1; the caller owns it
 * Return: bytes received, 0 at end of file, or -errno
 */
ssize_t local_recv(int fd, void *data, size_t size, int *pass);

/*
 * In the shim these two must not enter its own hooks: local.c uses raw
 * syscall(SYS_sendmsg/SYS_recvmsg) for both.
 */

#endif
