/* SPDX-License-Identifier: MIT */
/*
 * keys.h - how much the nodes' keys use of the relay: pairs, and bytes a second
 *
 * Pure (libc only).  The keys are those of the tickets, which a rendezvous has seen proved.
 */
#ifndef RELAY_KEYS_H
#define RELAY_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "common/limits.h"

struct key_use;

/**
 * keys_open()
 * @max:	keys remembered
 * @pairs:	of one key at one time; 0: any number
 * @rate:	bytes a second of one key, all its pairs and both directions together; 0: any number
 * Return: 0 or -ENOMEM
 */
int keys_open(unsigned int max, unsigned int pairs, uint64_t rate);
void keys_close(void);

/**
 * key_hold() - one more pair of a key
 * @use:	receives what key_release() wants
 * Return: 0, -EUSERS (it has its number of pairs), -ENOBUFS (keys_open()'s @max have pairs) or -ENOMEM
 */
int key_hold(const uint8_t key[KEY_SIZE], struct key_use **use, uint64_t now);

/** key_release() - one pair less. What it owes is remembered: coming again does not help */
void key_release(struct key_use *use);

/** keys_charge() - @bytes were carried for the two keys of a pair */
void keys_charge(struct key_use *const uses[2], size_t bytes, uint64_t now);

/** keys_wait() - Return: 0: more may be carried for both; or when */
uint64_t keys_wait(struct key_use *const uses[2], uint64_t now);

/** keys_count() - for tests: keys remembered now */
unsigned int keys_count(void);

#endif
