/* SPDX-License-Identifier: MIT */
/*
 * punch_program.h - will a preloaded library have an effect on this program?
 */
#ifndef PUNCH_PROGRAM_H
#define PUNCH_PROGRAM_H

#include <stdbool.h>

#include "common/limits.h"

enum program_kind {
	PROGRAM_DYNAMIC,	/* works */
	PROGRAM_STATIC,		/* no dynamic loader */
	PROGRAM_GO,		/* makes its system calls itself */
	PROGRAM_SETUID,		/* set-uid, set-gid or with file capabilities: the loader ignores us */
	PROGRAM_FOREIGN,	/* of another machine, as 32-bit programs here: our library does not fit */
	PROGRAM_UNKNOWN,	/* cannot be read; exec will tell */
	PROGRAM_KIND_COUNT
};

/**
 * struct program
 * @kind:	of the program that will really run
 * @path:	where it is: for a script, its interpreter; for /usr/bin/env, what env will run
 */
struct program {
	enum program_kind kind;
	char path[LIMIT_PATH];
};

/** program_find() - as execvp() finds it. Return: false when there is no such file */
bool program_find(const char *name, char path[LIMIT_PATH]);

/** program_examine() - follow #! lines and look into the file. @path: program_find() */
void program_examine(const char *path, struct program *program);

#endif
