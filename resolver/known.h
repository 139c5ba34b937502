/* SPDX-License-Identifier: MIT */
/*
 * known.h - INTERFACE - the file of servers whose keys were trusted on first use
 *
 * One line a server: "HOST PORT KEY", HOST and PORT as configured (so that a lie in DNS, SRV
 * records included, cannot lead to a name that is not known yet), KEY as in
 * key_text().  Blank lines and lines that begin with '#' are kept and ignored.
 */
#ifndef PUNCH_KNOWN_H
#define PUNCH_KNOWN_H

#include <stdint.h>

#include "common/limits.h"

#define KNOWN_FILE	"known_servers"
#define KNOWN_BYTES	(256 * 1024)	/* most bytes of the file: some 3,000 servers */

/**
 * known_find() - the key remembered of a server
 * @path:	the file
 * @host:	compared without case
 * @key:	the key of the first matching line
 * @line:	its number, also for -EBADMSG
 * Return: 0; -ENOENT no such line or file; -EBADMSG a line for this server whose key is
 * malformed (never to be taken as "not known yet"); -EFBIG; -EINVAL not a regular file; -errno of open()
 */
int known_find(const char *path, const char *host, uint16_t port, uint8_t key[KEY_SIZE],
	       unsigned int *line);

/**
 * known_add() - remember a server
 * Makes the folder (0700), takes a lock against other resolvers, writes a new file
 * beside the old one and renames it, so that a crash leaves either the old or the new.
 * Return: 0 (also when the same line is there already), -EEXIST (another key is), or -errno
 */
int known_add(const char *path, const char *host, uint16_t port, const uint8_t key[KEY_SIZE]);

#endif
