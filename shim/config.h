/* SPDX-License-Identifier: MIT */
/*
 * config.h - which names, addresses and ports are ours
 */
#ifndef PUNCH_SHIM_CONFIG_H
#define PUNCH_SHIM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/endpoint.h"
#include "common/local.h"

struct config;

/** config_init() - read the file; constructor only, after env_init() */
void config_init(void);

/**
 * config_get() - the configuration, as config_init() or config_fresh() have read it
 * Costs nothing, and is safe in any thread and in a signal handler.
 * Return: NULL when there is none: nothing is ours
 */
const struct config *config_get(void);

/**
 * config_fresh() - the same, read again when the file has changed since; for look-ups, which may
 * cost a stat() and allocate: a name that has become a peer's must not go to DNS
 */
const struct config *config_fresh(void);

/** config_local() - how requests name this configuration */
const struct local_config *config_local(const struct config *config);

/** config_tag() - where its resolver is looked for: local_address_of() */
const char *config_tag(const struct config *config);

/**
 * config_problem() - the loader's message, or NULL when the file is right
 * With a problem no name is asked for, no socket parked and none published; but what a resolver has begun by the file
 * as it was is still claimed of it
 */
const char *config_problem(const struct config *config);

/**
 * config_owns_name() - is this a peer's name?  When the file cannot be read
 * at all every name may be: none goes to DNS but localhost
 */
bool config_owns_name(const struct config *config, const char *name);

/** config_is_peer() - does @name, one of config_owns_name(), mean the peer whose own name is @peer? */
bool config_is_peer(const struct config *config, const char *name, const char *peer);

/** config_has_addresses() - is any literal address an alias of a peer? */
bool config_has_addresses(const struct config *config);

/** config_owns_address() - is this a literal alias of a peer? The port is ignored */
bool config_owns_address(const struct config *config, const struct endpoint *ep);

/**
 * config_key_is_of_another() - does the file's key belong to another user than @uid? Not in quick mode, which has none
 */
bool config_key_is_of_another(const struct config *config, uid_t uid);

/**
 * config_names() - call @each with every name that means a peer, aliases before the peer's own; literal addresses
 * are left out.  None in quick mode: what ends in ".punch" cannot be listed
 */
void config_names(const struct config *config, void (*each)(void *arg, const char *name), void *arg);

/** config_is_quick() - no file, but a secret word */
bool config_is_quick(const struct config *config);

/** config_has_services() - might a listening socket be ours? */
bool config_has_services(const struct config *config);

/** config_owns_port() - is this port published? */
bool config_owns_port(const struct config *config, uint16_t port);

#endif
