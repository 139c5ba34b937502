/* SPDX-License-Identifier: MIT */
/*
 * strength.c - see strength.h
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zxcvbn.h>

#include "common/strength.h"

double strength_bits(const char *word)
{
	return *word ? ZxcvbnMatch(word, NULL, NULL) : 0;	/* looks at 100 bytes closely, and counts the rest */
}

int strength_check(const char *word, char *why, size_t size)
{
	const char *insists = secure_getenv("PUNCH_WEAK_SECRET");
	double bits;

	if (insists && strcmp(insists, "yes") == 0)
		return 0;
	bits = strength_bits(word);
	if (bits >= STRENGTH_LEAST)
		return 0;
	snprintf(why, size, "the secret word is weak: about 2^%d guesses find it, at least 2^%d are wanted, for the "
		 "server and whoever sees a public key can try words; take \"punchctl secret\", or several words, or "
		 "insist with --weak-secret (PUNCH_WEAK_SECRET=yes)", (int)bits, STRENGTH_LEAST);
	return -EKEYREJECTED;
}
