/* SPDX-License-Identifier: MIT */
/*
 * carry.h - make one socket look like another to the program that owns it
 */
#ifndef PUNCH_SHIM_CARRY_H
#define PUNCH_SHIM_CARRY_H

/**
 * carry_over() - status flags, owner of signals and socket options of @from onto @to
 * What cannot be set (SO_MARK after dropping privileges) is left out. errno is disturbed
 */
void carry_over(int from, int to);

/**
 * carry_for_bind() - what of @from decides whether, and for whom, @to may be bound where @from
 * is; SO_REUSEADDR is left out
 */
void carry_for_bind(int from, int to);

#endif
