/* SPDX-License-Identifier: MIT */
/*
 * load.h - from the environment and the configuration file to a node
 */
#ifndef PUNCH_LOAD_H
#define PUNCH_LOAD_H

#include <sys/stat.h>

#include "resolver/node.h"

#define LOAD_WHY 1024	/* bytes of a message that names a file */

/**
 * load_config() - which configuration does the environment mean?
 * PUNCH_SECRET set: quick mode; else the file that conf_node_path() finds
 * @why:	one line for people on failure
 * Return: 0, -ENOENT (no file), -EINVAL
 */
int load_config(struct local_config *config, char *why, size_t size);

/** load_check() - can a node be made of it? Nothing is kept. Return: 0 or -errno, as load_node() */
int load_check(const struct local_config *config, char *why, size_t size);

/**
 * load_node() - read file and key; in quick mode derive the keys (0.2 s, 64 MiB)
 * @node:	zeroed; node->config is set from @config; load_free() also after a failure
 * @conf:	stat() of the file from before it was read; zero in quick mode
 * Return: 0 or -errno with @why
 */
int load_node(struct node *node, const struct local_config *config, struct stat *conf, char *why, size_t size);

/** load_free() - wipe the keys */
void load_free(struct node *node);

#endif
