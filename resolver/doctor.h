/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - INTERFACE - what this network lets through, for punchctl doctor
 */
#ifndef PUNCH_DOCTOR_H
#define PUNCH_DOCTOR_H

#include "resolver/node.h"

/**
 * doctor_start() - gather facts for at most DOCTOR_WAIT (9 s), then report
 * @as_json:	1: one JSON object; 0: text for people; both end with a newline
 * @done:	called exactly once, never from inside but when memory has run out (the text says so);
 *		@text is valid during the call only
 * @arg:	must stay valid until then
 */
void doctor_start(struct node *node, int as_json, void (*done)(void *arg, const char *text), void *arg);

#endif
