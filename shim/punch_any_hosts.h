/* SPDX-License-Identifier: MIT */
/*
 * punch_any_hosts.h - peers' names in a hosts file
 */
#ifndef PUNCH_ANY_HOSTS_H
#define PUNCH_ANY_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

/**
 * struct hosts - names with their slots; all zero: none
 * @full:	there was no memory for one
 */
struct hosts {
	struct hosts_name {
		char name[LIMIT_HOST];
		uint32_t slot;		/* 0: refuse it */
	} *names;
	unsigned int count;
	bool full;
};

/** hosts_add() - a name, once, whatever its case; what a hosts file could not hold (blanks, "#") is left out */
void hosts_add(struct hosts *hosts, const char *name);

/**
 * hosts_find_quick() - add each word of @text that is a name of quick mode:
 * "user@bob.punch:dir", "http://bob.punch:80/"
 */
void hosts_find_quick(struct hosts *hosts, const char *text);

/**
 * hosts_write() - a hosts file: a line for each name with a slot, then @system without these names
 * @system:	the system's own file
 * Return: text, the caller frees it; NULL when out of memory
 */
char *hosts_write(const struct hosts *hosts, const char *system);

/** hosts_free() - free the names, but not @hosts itself, which is empty then */
void hosts_free(struct hosts *hosts);

#endif
