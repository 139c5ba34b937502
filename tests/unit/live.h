/* SPDX-License-Identifier: MIT */
/*
 * live.h - the real servers on loopback, as seen by a client: for the test_*_live programs
 *
 * Every wait has a bound (LIVE_WAIT_S); a program started here dies with the test.
 */
#ifndef TESTS_LIVE_H
#define TESTS_LIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <openssl/ssl.h>

#include "common/convert.h"
#include "common/endpoint.h"
#include "common/key.h"
#include "common/punch.pb-c.h"
#include "common/ticket.h"

#define LIVE_WAIT_S	15	/* nothing that works takes longer on a loaded machine */

/** struct program - one that was started */
struct program {
	pid_t pid;
	char said[8192];	/* its stdout up to the line waited for */
};

/** live_folder() - new empty folder, removed with its files by live_folder_remove() */
void live_folder(char path[64]);
void live_folder_remove(const char *path);

/** live_write() - make a file with that text, mode 0600 */
void live_write(const char *folder, const char *name, const char *text);

/** live_path() - FOLDER/NAME in one of a few static buffers */
const char *live_path(const char *folder, const char *name);

/** live_port() - a TCP port of 127.0.0.1 that was free a moment ago */
uint16_t live_port(void);

/**
 * live_start() - run build/PROGRAM and wait until it has printed @until on stdout
 * @program:	name beside which this test was built; NULL when argv[0] is a path
 * @argv:	arguments with argv[0], NULL-terminated
 * @state:	folder for $STATE_DIRECTORY, and "FOLDER/log" gets its stderr
 * @descriptors: its limit, 0: ours
 * Return: false when it ended or kept silent
 */
bool live_start(struct program *program, const char *name, char *const argv[], const char *state,
		const char *until, unsigned int descriptors);

/** live_stop() - SIGTERM and wait. Return: exit status, or -1 when it had to be killed or died by a signal */
int live_stop(struct program *program);

/** live_cpu_ms() - CPU time a process has used */
unsigned int live_cpu_ms(pid_t pid);

/** live_until() - does @condition become true within LIVE_WAIT_S? */
bool live_until(bool (*condition)(void *arg), void *arg);

/** live_log_has() - does FOLDER/log contain @text? */
bool live_log_has(const char *folder, const char *text);

/** live_rss_kib() - memory of a process that is resident, KiB */
unsigned int live_rss_kib(pid_t pid);

/** live_is_confined() - is a process without capabilities, and in a sandbox, its own or that of who started it? */
bool live_is_confined(pid_t pid);

/** live_filters() - of seccomp, that a process is under; each sandbox is one more. Return: -1 where they are not counted */
int live_filters(pid_t pid);

/** live_descriptors() - that a process has open */
unsigned int live_descriptors(pid_t pid);

/** live_connect() - blocking socket with timeouts. @address: literal. Return: -1 on failure */
int live_connect(const char *address, uint16_t port);

/** live_reads - SO_RCVBUF of the connections to be made, bytes; 0: as the kernel has it */
extern int live_reads;

/** live_connect_from() - the same from another address of this host, as 127.0.1.2; NULL: the kernel's choice */
int live_connect_from(const char *from, const char *address, uint16_t port);

/** live_send() - a whole frame. Return: false on failure */
bool live_send(int fd, const ProtobufCMessage *message);

/** live_recv() - a whole frame, or NULL at the end or on failure */
ProtobufCMessage *live_recv(int fd, const ProtobufCMessageDescriptor *type);

/** live_http() - GET / from a metrics port, the answer's text (static buffer), "" on failure */
const char *live_http(uint16_t port);

/** live_metric() - value behind "NAME " in live_http(), -1 when it is not there */
long long live_metric(uint16_t port, const char *name);

/* ---------------------------------------------------------------- a node */

struct node {
	struct key key;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	const char *from;	/* as of live_connect_from() */
};

/** node_connect() - TCP and TLS with a key of its own (made when key.private is NULL). Return: false on failure */
bool node_connect(struct node *node, const char *address, uint16_t port);

/** node_close() - connection only; the key stays */
void node_close(struct node *node);
void node_free(struct node *node);

/** node_send() - one Message. Return: false on failure */
bool node_send(struct node *node, const Punch__Message *message);

/** node_write() - raw bytes under TLS */
bool node_write(struct node *node, const void *data, size_t size);

/** node_recv() - next Message or NULL (end, timeout); punch__message__free_unpacked() */
Punch__Message *node_recv(struct node *node);

/** node_hello() - connect, say Hello, expect Welcome. Return: it, or NULL */
Punch__Message *node_hello(struct node *node, const char *address, uint16_t port, bool receive);

#endif
