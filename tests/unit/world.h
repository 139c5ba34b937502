/* SPDX-License-Identifier: MIT */
/*
 * world.h - a network of their own, real programs and an event loop, for tests of the resolver's network side
 *
 * Every wait has a bound; a program started here dies with the test.
 */
#ifndef PUNCH_TESTS_WORLD_H
#define PUNCH_TESTS_WORLD_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORLD_WAIT_S	15	/* nothing that works takes longer on a loaded machine */

/** world_isolate() - network and mount namespaces of our own, loopback up; works without root. Return: 0 or -1 */
int world_isolate(void);

/** world_etc() - put the folder @etc in the place of /etc, for this process and its children. Return: 0 or -1 */
int world_etc(const char *etc);

/**
 * world_start() - run a program
 * @log:	file that gets its stdout and stderr, appended
 * @program:	without a slash: in the build folder above the tests, else a path
 * Its arguments follow, then NULL.
 * Return: pid
 */
pid_t world_start(const char *log, const char *program, ...) __attribute__((sentinel));

/** world_program() - the path of a program in the build folder above the tests */
void world_program(char path[4096], const char *name);

/** world_wait() - let it end by itself. Return: exit status, -1 when it died of a signal */
int world_wait(pid_t pid);

/** world_stop() - SIGTERM (SIGCONT before it), wait. Return: exit status, -1 when it died of a signal */
int world_stop(pid_t pid);

/** world_listens() - does somebody accept on 127.0.0.1:@port? */
bool world_listens(uint16_t port);

/** world_file_has() - does the file contain the text? */
bool world_file_has(const char *path, const char *text);

/** world_until() - does @condition become true within WORLD_WAIT_S?  @base turns meanwhile, NULL: we only wait */
bool world_until(struct event_base *base, bool (*condition)(void *arg), void *arg);

/** world_turn() - let the loop turn for @ms: to see that something does not happen */
void world_turn(struct event_base *base, unsigned int ms);

#endif
