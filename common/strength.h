/* SPDX-License-Identifier: MIT */
/*
 * strength.h - could somebody guess the word of quick mode?
 *
 * Who sees a public key of quick mode - the rendezvous, or whoever was given one - can try words against it without
 * asking anybody, one scrypt (common/quick.h) each.  libzxcvbn estimates how many guesses a word withstands from
 * dictionaries, names, keyboard rows, dates and repetitions: D. Wheeler, "zxcvbn", USENIX Security 2016.
 */
#ifndef PUNCH_STRENGTH_H
#define PUNCH_STRENGTH_H

#include <stddef.h>

/*
 * Bits that a word must have: 2^40 scrypts of 0.2 s and 64 MiB are 7000 years of one core, some 10^5 euros of rented
 * ones; each bit less halves that.  "hunter2" has 11, four words drawn by dice 51.
 */
#define STRENGTH_LEAST	40

/** strength_bits() - log2 of the guesses that find @word, estimated; the empty word has 0 */
double strength_bits(const char *word);

/**
 * strength_check() - is @word good enough for quick mode?
 * @why:	what is wrong and what would be right, when it is not; never the word itself
 * @size:	bytes at @why
 * Return: 0, or -EKEYREJECTED for a word below STRENGTH_LEAST that PUNCH_WEAK_SECRET=yes does not insist on
 */
int strength_check(const char *word, char *why, size_t size);

#endif
