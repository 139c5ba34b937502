/* SPDX-License-Identifier: MIT */
/*
 * env.h - what the environment said when the library was loaded
 *
 * Programs change directory, overwrite their environment to show a title in
 * ps, or clear it.  So all that matters is copied once, and the resolver is started
 * with that copy.
 */
#ifndef PUNCH_SHIM_ENV_H
#define PUNCH_SHIM_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENV_KEPT	32	/* most variables kept */

/**
 * env_init() - take the copy; called by the constructor
 * @folder:	where punch-resolver lies, with a slash at its end; NULL: where this library does
 */
void env_init(const char *folder);

/** env_off() - a set-uid program, or called before the constructor: nothing is ours */
bool env_off(void);

/**
 * env_any() - this program was started by "punch --any": its sockets are served from outside (punch_any.c),
 * which a second hand would disturb.  Names stay our business
 */
bool env_any(void);

/** env_get() - as getenv(), from the copy.  PUNCH_CONF is an absolute path here; empty variables do not exist */
char *env_get(const char *name);

/** env_array() - the copy in the form that execve() wants; never changes after env_init() */
char *const *env_array(void);

/** env_timeout_ms() - PUNCH_TIMEOUT, 1 to 60 s, default TIMEOUT_DEFAULT_S */
uint32_t env_timeout_ms(void);

/** env_route() - PUNCH_ROUTE as enum conf_route; 0 (auto) when absent or not understood */
uint32_t env_route(void);

/** env_loopback() - PUNCH_LOOPBACK=yes: quick mode publishes listeners on loopback too */
bool env_loopback(void);

/** env_resolver() - absolute path of punch-resolver as it lies beside this library, or "" */
const char *env_resolver(void);

#endif
