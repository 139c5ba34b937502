/* SPDX-License-Identifier: MIT */
/*
 * process.h - become a process that owes nothing to the program it was started from
 */
#ifndef PUNCH_PROCESS_H
#define PUNCH_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#define PROCESS_CANNOT	127	/* exit status of a child that could not be executed, as of shells */
#define PROCESS_FD	3	/* where the first descriptor of process_start() lies */

/**
 * process_clean() - descriptors, signals, umask, folder, limits, no core dumps and no tracing
 * @keep:	lowest descriptor to close; those below it are made sure to exist, as /dev/null if need be
 */
void process_clean(int keep);

/** process_detach() - 0 to 2 become /dev/null, own session */
void process_detach(void);

/** process_title_init() - remember where main()'s arguments lie; before any use of process_title() */
void process_title_init(int argc, char **argv);

/** process_title() - what ps and pkill see: the name, and as much of the title as there is room for */
void process_title(const char *name, const char *title);

/**
 * process_again() - execute this very program, also when its file was replaced
 * @argv:	as for execv()
 * Return: -errno; not on success
 */
int process_again(char *const argv[]);

/**
 * process_inherit() - the children that this process has already, of the program that it executed itself from
 * Where /proc does not name them they stay zombies until we end, as those above 128 do until the next time.
 */
void process_inherit(void);

/** process_bury() - those of them that have ended; no others, for which somebody waits */
void process_bury(void);

/**
 * process_start() - a child that executes this very program
 * @argv:	as for execv()
 * @fds:	@count descriptors, at most 2, which are PROCESS_FD and the next one there; they stay open here
 * @bare:	its environment is what it needs for its log, its libraries and the kernel's
 *		TLS, and no more: no secrets
 * Return: pid or -errno; what fails in the child is its exit status PROCESS_CANNOT
 */
pid_t process_start(char *const argv[], const int fds[], int count, bool bare);

#endif
