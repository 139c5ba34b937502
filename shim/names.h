/* SPDX-License-Identifier: MIT */
/*
 * names.h - peers' names and their stand-in slots, as the resolver gave them
 */
#ifndef PUNCH_SHIM_NAMES_H
#define PUNCH_SHIM_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/limits.h"
#include "shim/config.h"

/**
 * names_slot() - slot of a peer's name, asked of the resolver once while the file stays; starts it
 * @name:	config_owns_name()
 * @slot:	out
 * Return: 0, or a code of getaddrinfo(): EAI_AGAIN no resolver, EAI_FAIL the configuration is broken
 * or the name is no peer's; after one line for people
 */
int names_slot(const struct config *config, const char *name, uint32_t *slot);

/**
 * names_of_slot() - the peer with this slot, asked of a running resolver when it is not known here
 * @name:	out, the peer's own name
 * Return: false when nobody knows it
 */
bool names_of_slot(const struct config *config, uint32_t slot, char name[LIMIT_HOST]);

/**
 * names_peer() - own name of the peer with this slot, as the resolver gave it to this process; never an alias, which
 * may be another peer's by now
 * Return: NULL when it did not. No system call
 */
const char *names_peer(uint32_t slot);

/**
 * names_kept() - a name that names_slot() has found, in memory that stays as long as the process
 * Return: it, whatever its case was when it was asked for first; NULL when the list is full
 */
char *names_kept(const char *name);

/** names_label() - the same for messages; "a peer" when it is not known */
const char *names_label(uint32_t slot);

#endif
