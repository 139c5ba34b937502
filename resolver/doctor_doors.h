/* SPDX-License-Identifier: MIT */
/*
 * doctor_doors.h - do a server's other ports answer: its probes, and the relay beside it?
 */
#ifndef PUNCH_DOCTOR_DOORS_H
#define PUNCH_DOCTOR_DOORS_H

#include "resolver/uplink.h"

#define DOORS_MOST	(NODE_UPLINKS * (UPLINK_PROBES + 1))

/**
 * struct door - one port
 * @uplink:	whose
 * @error:	0 it answers, -EINPROGRESS not known yet, or -errno: -ETIMEDOUT no answer at all
 */
struct door {
	struct endpoint at;
	const struct uplink *uplink;
	bool relay;
	int error;
	struct race *race;
};

struct doors {
	struct door list[DOORS_MOST];
	unsigned int count;
};

/** doors_knock() - connect to the ports of each server that is READY, of whose none was tried yet */
void doors_knock(struct doors *doors, struct node *node);

/** doors_known() - has each one answered, or been given up? */
bool doors_known(const struct doors *doors);

/** doors_shut() - are there any of this kind, and does none of them answer? */
bool doors_shut(const struct doors *doors, bool relay);

/** door_problem() - what is wrong, for people. Return: @text, "" when it answers, NULL while that is not known */
const char *door_problem(const struct door *door, char *text, size_t size);

/** doors_close() - give up what is under way */
void doors_close(struct doors *doors);

#endif
