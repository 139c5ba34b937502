/* SPDX-License-Identifier: MIT */
/*
 * node.h - a node that is made and unmade for each input: the resolver's parts as worker.c has them
 */
#ifndef PUNCH_TESTS_FUZZ_NODE_H
#define PUNCH_TESTS_FUZZ_NODE_H

#include <sys/stat.h>

#include "resolver/session_internal.h"
#include "tests/fuzz/fuzz.h"

#define FUZZ_SERVICE	8080	/* published to bob */

/**
 * struct fuzz_node
 * @program:	listening socket of the program that serves FUZZ_SERVICE
 */
struct fuzz_node {
	struct node node;
	int program;
	struct stat conf;
};

/**
 * fuzz_node_prepare() - write its configuration: one rendezvous on 127.0.0.1, one peer bob
 * @port, @server: of the rendezvous; 0: there is none
 * Return: static
 */
struct fuzz_node *fuzz_node_prepare(uint16_t port, const struct key *server, const struct key *self, const struct key *bob);

/** fuzz_node_start(), fuzz_node_stop() - all parts with state of connections; the event loop stays */
void fuzz_node_start(struct fuzz_node *n);
void fuzz_node_stop(struct fuzz_node *n);

/** fuzz_node_accept() - what has been given to the program is closed */
void fuzz_node_accept(struct fuzz_node *n);

#endif
