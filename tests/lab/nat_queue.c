/* SPDX-License-Identifier: MIT */
/* Packets under way: a binary heap of copies. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nat_queue.h"

/* 1 Gbit/s over half a second: twice the longest path that scenarios use. */
#define QUEUE_BYTES_MAX (64u << 20)

struct nat_queue {
	struct nat_queued **heap;
	size_t count, room, bytes;
	uint64_t order;
};

static bool earlier(const struct nat_queued *a, const struct nat_queued *b)
{
	return a->when != b->when ? a->when < b->when : a->order < b->order;
}

struct nat_queue *nat_queue_new(void)
{
	return calloc(1, sizeof(struct nat_queue));
}

void nat_queue_free(struct nat_queue *q)
{
	size_t i;

	if (!q)
		return;
	for (i = 0; i < q->count; i++)
		free(q->heap[i]);
	free(q->heap);
	free(q);
}

int nat_queue_push(struct nat_queue *q, uint64_t when, enum nat_side to, const struct nat_pkt *p)
{
	struct nat_queued *e;
	size_t at;

	if (q->bytes + p->len > QUEUE_BYTES_MAX)
		return -ENOBUFS;
	if (q->count == q->room) {
		size_t room = q->room ? q->room * 2 : 64;
		struct nat_queued **heap = realloc(q->heap, room * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		q->heap = heap;
		q->room = room;
	}
	e = malloc(sizeof(*e) + p->len);
	if (!e)
		return -ENOMEM;
	e->when = when;
	e->order = q->order++;
	e->to = to;
	e->pkt = *p;
	e->pkt.data = e->bytes;
	memcpy(e->bytes, p->data, p->len);
	q->bytes += p->len;

	for (at = q->count++; at && earlier(e, q->heap[(at - 1) / 2]); at = (at - 1) / 2)
		q->heap[at] = q->heap[(at - 1) / 2];
	q->heap[at] = e;
	return 0;
}

uint64_t nat_queue_next(const struct nat_queue *q)
{
	return q->count ? q->heap[0]->when : NAT_NEVER;
}

struct nat_queued *nat_queue_pop(struct nat_queue *q, uint64_t now)
{
	struct nat_queued *first, *last;
	size_t at = 0, child;

	if (nat_queue_next(q) > now)
		return NULL;
	first = q->heap[0];
	last = q->heap[--q->count];
	while ((child = 2 * at + 1) < q->count) {
		if (child + 1 < q->count && earlier(q->heap[child + 1], q->heap[child]))
			child++;
		if (!earlier(q->heap[child], last))
			break;
		q->heap[at] = q->heap[child];
		at = child;
	}
	q->heap[at] = last;
	q->bytes -= first->pkt.len;
	return first;
}
