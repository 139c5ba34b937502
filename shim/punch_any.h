/* SPDX-License-Identifier: MIT */
/*
 * punch_any.h - "punch --any": programs that no preload reaches
 */
#ifndef PUNCH_ANY_H
#define PUNCH_ANY_H

/**
 * any_begin() - from here on this process, and the program that it becomes, is served from outside
 * @folder:	where punch-resolver lies, with a slash at its end
 * @command:	the program's command line
 * Call when the environment is complete.  Return: 0, or an exit status of sysexits.h after one line for people
 */
int any_begin(const char *folder, char *const *command);

#endif
