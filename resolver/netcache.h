/* SPDX-License-Identifier: MIT */
/*
 * netcache.h - what was found out about a network, for the next time that we are there
 */
#ifndef PUNCH_NETCACHE_H
#define PUNCH_NETCACHE_H

#include "common/convert.h"

#define NETCACHE_KEY	16	/* bytes */

/**
 * netcache_key() - which network is this? Its gateway's hardware address and address, and our public prefix
 * @public:	own address as a server sees it
 * Return: 0 or -errno
 */
int netcache_key(uint8_t key[NETCACHE_KEY], const struct endpoint *public);

/**
 * netcache_load() - filtering, stray_syn, hairpin, lifetime and hops of @facts, as they were found within the last week
 * Return: 0, or -ENOENT and @facts untouched
 */
int netcache_load(const char *path, const uint8_t key[NETCACHE_KEY], uint64_t now_s, struct description *facts);

/** netcache_save() - the same the other way; the oldest of many networks is forgotten. Return: 0 or -errno */
int netcache_save(const char *path, const uint8_t key[NETCACHE_KEY], uint64_t now_s, const struct description *facts);

#endif
