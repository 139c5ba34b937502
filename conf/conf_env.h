/* SPDX-License-Identifier: MIT */
/*
 * conf_env.h - what the environment alone configures: quick mode, and how a connection is tried
 *
 * Pure, as conf.h.  @getenv_ is secure_getenv, or the shim's copy of the environment; an empty variable is none.
 */
#ifndef PUNCH_CONF_ENV_H
#define PUNCH_CONF_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "common/local.h"
#include "conf/conf.h"

/**
 * conf_env_quick() - quick mode: PUNCH_SECRET, PUNCH_AS and PUNCH_RENDEZVOUS, as far as lengths go
 * @config:	secret, as and rendezvous are filled; path stays as it is
 * @why:	one line for people on -EINVAL
 * Return: 0, -ENOENT (no PUNCH_SECRET: no quick mode), or -EINVAL (one is too long, or no rendezvous is named)
 */
int conf_env_quick(struct local_config *config, char *(*getenv_)(const char *), char *why, size_t size);

/**
 * conf_env_check_quick() - what conf_env_quick() does not look at: the form of PUNCH_AS and of PUNCH_RENDEZVOUS
 * @why:	one line for people on -EINVAL
 * Return: 0 or -EINVAL
 */
int conf_env_check_quick(const struct local_config *config, char *why, size_t size);

/** conf_env_meeting() - HOST of "none@HOST" in PUNCH_RENDEZVOUS (a part of it), or NULL: there is a server */
const char *conf_env_meeting(const char *rendezvous);

/* What to tell whose environment names quick mode, while there is a file (conf_node_path(), %s) */
#define CONF_ENV_HIDES	"PUNCH_SECRET is set, so this is quick mode: %s is not read (to use it, unset PUNCH_SECRET)"

/**
 * conf_env_timeout_ms() - PUNCH_TIMEOUT: seconds, of which a fraction is dropped
 * @why:	one line for people where the variable is not followed to the letter, else empty
 * Return: ms, from 1 s to TIMEOUT_MOST_S; TIMEOUT_DEFAULT_S where it is not set or no number
 */
uint32_t conf_env_timeout_ms(char *(*getenv_)(const char *), char *why, size_t size);

/** conf_env_route() - PUNCH_ROUTE; CONF_ROUTE_AUTO where it is not set or not understood. @why as above */
enum conf_route conf_env_route(char *(*getenv_)(const char *), char *why, size_t size);

#endif
