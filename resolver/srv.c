/* SPDX-License-Identifier: MIT */
/*
 * srv.c - core: the order in which the servers of a domain are tried (RFC 2782)
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/srv.h"

/* Those of weight 0 come before the others of their priority, so that they have a small chance in the draw */
static int compare(const void *a_, const void *b_)
{
	const struct srv *a = a_, *b = b_;

	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	return (int)a->weight - (int)b->weight;
}

/* Which of list[0 .. n - 1], all of one priority, comes next? */
static unsigned int draw(const struct srv *list, unsigned int n, uint32_t (*below)(uint32_t))
{
	uint32_t sum = 0, drawn;
	unsigned int i;

	for (i = 0; i < n; i++)
		sum += list[i].weight;
	drawn = below(sum + 1);
	for (i = 0, sum = list[0].weight; i + 1 < n && sum < drawn; sum += list[i].weight)
		i++;
	return i;
}

void srv_order(struct srv *list, unsigned int n, uint32_t (*below)(uint32_t))
{
	unsigned int i, end, pick;
	struct srv chosen;

	if (n)
		qsort(list, n, sizeof(*list), compare);
	for (i = 0; i + 1 < n; i++) {
		for (end = i + 1; end < n && list[end].priority == list[i].priority; end++)
			;
		pick = i + draw(list + i, end - i, below);
		chosen = list[pick];
		memmove(&list[i + 1], &list[i], (pick - i) * sizeof(*list));
		list[i] = chosen;
	}
}
