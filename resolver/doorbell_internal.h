/* SPDX-License-Identifier: MIT */
/*
 * doorbell_internal.h - the local side's view of doorbells
 */
#ifndef PUNCH_DOORBELL_INTERNAL_H
#define PUNCH_DOORBELL_INTERNAL_H

#include "resolver/doorbell.h"
#include "resolver/proof.h"

#define DOORBELLS_MAX	1024	/* at one time, until claimed or spliced; two descriptors each */

/** doorbells_new(), doorbells_free() - Return: NULL when out of memory */
struct doorbells *doorbells_new(struct node *node);
void doorbells_free(struct doorbells *doorbells);

/** doorbells_count() - rung and not yet claimed or spliced */
unsigned int doorbells_count(const struct doorbells *doorbells);

/**
 * doorbell_claim() - LOCAL_CLAIM_DOORBELL
 * @proof:	of what accept() returned to the program; its other end must be a doorbell of ours
 * @reply:	filled in: LOCAL_OK with peer, slot, remote, path, setup_us; or LOCAL_NOT_OURS
 * Return: the punched socket, owned by the caller, or -1
 */
int doorbell_claim(struct node *node, const struct proof *proof, struct local_reply *reply);

#endif
