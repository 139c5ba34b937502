/* SPDX-License-Identifier: MIT */
/*
 * conf.h - INTERFACE - the one loader of configuration files
 *
 * inih lives in conf.c alone.  Everything here is plain libc, because the
 * shim links it: no OpenSSL, no log.  Keys are kept as text (checked for form
 * by length and alphabet only).
 *
 * The loader goes on after an error, so that all names that are a peer's are
 * known even in a broken file (they must not leak to DNS); the first error is kept in
 * struct conf_error: "FILE:LINE: [section] key = offending text: what would be right".
 */
#ifndef PUNCH_CONF_H
#define PUNCH_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/endpoint.h"
#include "common/limits.h"

#define CONF_PEERS	1024	/* most peers of one file */
#define CONF_SERVICES	256
#define CONF_LIST	16	/* most words of one list value (listen, probe, relay) */
#define CONF_SERVERS	4	/* most of one node, rendezvous and stun: each costs connections */
#define CONF_WORDS	512	/* bytes of a list value kept as text */

struct conf_error {
	int code;		/* 0, or -errno */
	int line;		/* 0 when the whole file is meant */
	char text[512];		/* whole message for people, with the file's name and line */
};

enum conf_encrypt { CONF_ENCRYPT_AUTO, CONF_ENCRYPT_YES, CONF_ENCRYPT_NO };	/* = Punch__Encrypt */
enum conf_mapping {	/* by which protocol ports are mapped; YES: whichever the gateway speaks */
	CONF_MAPPING_YES, CONF_MAPPING_NO, CONF_MAPPING_PCP, CONF_MAPPING_NATPMP, CONF_MAPPING_UPNP
};
enum conf_route { CONF_ROUTE_AUTO, CONF_ROUTE_DIRECT, CONF_ROUTE_RELAY };	/* = Punch__Route */

/* [node] keepalive: seconds, or one of these */
#define CONF_KEEPALIVE_AUTO	0u
#define CONF_KEEPALIVE_NO	UINT32_MAX
#define CONF_KEEPALIVE_MOST	32767u	/* the kernel's own limit */

struct conf_peer {
	char name[LIMIT_NAME];
	char key[KEY_TEXT_SIZE];
	char address[LIMIT_HOST];	/* name or literal without port, "" none */
	char alias[CONF_WORDS];		/* space separated names and literal addresses */
	enum conf_route route;
	enum conf_encrypt encrypt;
	int line;
};

struct conf_service {
	char name[LIMIT_NAME];
	uint16_t port;
	char allow[CONF_WORDS];		/* space separated peer names, or "*" (also the default) */
	enum conf_encrypt encrypt;
	int line;
};

/**
 * struct conf_node - punch.conf
 */
struct conf_node {
	char path[LIMIT_PATH];		/* absolute path of the file */
	char name[LIMIT_NAME];
	char key[LIMIT_PATH];		/* absolute: relative paths are relative to the file */
	char rendezvous[CONF_WORDS];
	bool serverless;		/* rendezvous = none */
	char rendezvous_key[KEY_TEXT_SIZE];
	bool cautious;			/* aggressive = no: never guess ports */
	unsigned int keepalive;		/* seconds of silence before the kernel probes, or CONF_KEEPALIVE_* */
	enum conf_mapping port_mapping;
	char stun[CONF_WORDS];		/* HOST[:PORT] words, "" none */
	struct conf_peer *peers;	/* malloc()ed array */
	unsigned int peer_count;
	struct conf_service *services;
	unsigned int service_count;
};

/**
 * conf_node_load() - read punch.conf
 * @conf:	filled even when the file has errors; conf_node_free()
 * @path:	the file
 * @error:	first error
 * Return: 0, or error->code (-ENOENT, -EACCES, -EINVAL, -E2BIG ...)
 */
int conf_node_load(struct conf_node *conf, const char *path, struct conf_error *error);

void conf_node_free(struct conf_node *conf);

/**
 * conf_node_path() - which file applies: $PUNCH_CONF, $XDG_CONFIG_HOME/punch/punch.conf
 * (default ~/.config), /etc/punch/punch.conf; the first that exists, except that $PUNCH_CONF
 * counts even when it does not exist
 * @getenv_:	secure_getenv or a test's own
 * Return: 0 and an absolute path, or -ENOENT
 */
int conf_node_path(char path[LIMIT_PATH], char *(*getenv_)(const char *));

/** conf_peer_find() - by name or alias (names compare without case; a trailing dot is ignored). NULL when not ours */
const struct conf_peer *conf_peer_find(const struct conf_node *conf, const char *name);

/** conf_peer_by_address() - by literal alias address (port ignored) */
const struct conf_peer *conf_peer_by_address(const struct conf_node *conf, const struct endpoint *ep);

/** conf_service_find() - by port. NULL when not published */
const struct conf_service *conf_service_find(const struct conf_node *conf, uint16_t port);

/** conf_service_allows() - may the peer of that name reach it? */
bool conf_service_allows(const struct conf_service *service, const char *peer);

/** conf_word_in() - is @word one of the space-separated words of @list? ASCII case is ignored */
bool conf_word_in(const char *list, const char *word);

/** conf_word_next() - @cursor starts as the list. Return: false at the end; @word gets at most @size - 1 bytes */
bool conf_word_next(const char **cursor, char *word, size_t size);

/** conf_server_ok() - HOST or HOST:PORT of a rendezvous, an address in brackets where it needs them */
bool conf_server_ok(const char *text);

/** conf_name_ok() - fit for a peer or service: letters, digits, after the first also "-", "_", "."; below LIMIT_NAME */
bool conf_name_ok(const char *name);

/** conf_host_ok() - fit for a host name (RFC 1123, and "_") */
bool conf_host_ok(const char *host);

/**
 * struct conf_rendezvous, struct conf_relay - the servers' files; defaults as in the samples.
 * conf_*_load(): @path NULL gives the defaults.
 */
struct conf_rendezvous {
	struct endpoint listen[CONF_LIST];
	unsigned int listen_count;
	struct endpoint probe[CONF_LIST];
	unsigned int probe_count;
	char key[LIMIT_PATH];		/* absolute or relative to the file; default rendezvous.key, see below */
	char store[LIMIT_HOST];		/* "memory" or redis://host:port/db */
	char relay[CONF_WORDS];		/* "embedded", "none", or HOST:PORT words */
	char relay_secret[LIMIT_PATH];
	struct endpoint metrics;	/* family 0: off */
	char allow[LIMIT_PATH];		/* "any" or a file of public keys */
};

struct conf_relay {
	struct endpoint listen[CONF_LIST];
	unsigned int listen_count;
	char secret[LIMIT_PATH];
	struct endpoint metrics;
	unsigned int pairs;		/* at one time; 0: as many as there is memory for */
	unsigned int pairs_per_key;	/* of one node's key at one time; 0: any number */
	unsigned int mbit_per_key;	/* a second, all its pairs and both directions together; 0: any number */
};

/*
 * Without a file the servers keep their key and relay secret in $STATE_DIRECTORY, else
 * $XDG_STATE_HOME/punch, else ~/.local/state/punch, made with mode 0700 when missing by the server.
 */
int conf_rendezvous_load(struct conf_rendezvous *conf, const char *path, struct conf_error *error);
int conf_relay_load(struct conf_relay *conf, const char *path, struct conf_error *error);

/** conf_state_path() - folder described above joined with @name. Return: 0 or -ENAMETOOLONG/-ENOENT (no HOME) */
int conf_state_path(char path[LIMIT_PATH], const char *name, char *(*getenv_)(const char *));

#endif
