/* SPDX-License-Identifier: MIT */
/*
 * punch_any_loop.h - the supervisor's loop
 */
#ifndef PUNCH_ANY_LOOP_H
#define PUNCH_ANY_LOOP_H

/**
 * loop_run() - serve the program's calls until the last of its processes has ended
 * @notify:	filter_install()
 * Return: 0, or -errno of what cannot go on
 */
int loop_run(int notify);

#endif
