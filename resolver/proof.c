/* SPDX-License-Identifier: MIT */
/*
 * proof.c - what a descriptor proves that came with a claim, without the descriptor
 */
#include <string.h>

#include "resolver/proof.h"
#include "resolver/sockdiag.h"

void proof_take(int fd, int ours, struct proof *proof)
{
	memset(proof, 0, sizeof(*proof));
	if (fd < 0)
		return;
	proof->shown = true;
	proof->good = sockdiag_cookie(fd, &proof->cookie) == 0 && sockdiag_same_network(fd, ours);
	if (!proof->good)
		return;
	if (endpoint_local(fd, &proof->local) < 0)
		proof->local.family = 0;
	if (endpoint_remote(fd, &proof->remote) < 0)
		proof->remote.family = 0;
}
