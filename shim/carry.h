/* SPDX-License-Identifier: MIT */
/*
 * carry.h - make one socket look like another to the program that owns it
 */
#ifndef PUNCH_SHIM_CARRY_H
#define PUNCH_SHIM_CARRY_H

#include <stdbool.h>

/**
 * carry_over() - status flags, owner of signals and socket options of @from onto @to
 * What cannot be set (SO_MARK after dropping privileges) is left out, and O_ASYNC. errno is disturbed
 * Return: was O_ASYNC set? Then carry_async() is for whoever has put @to in its place
 */
bool carry_over(int from, int to);

/**
 * carry_async() - set O_ASYNC, and let the kernel signal now what can be read already
 * @fd:		the program's number, which each signal tells (si_fd)
 */
void carry_async(int fd);

/**
 * carry_for_bind() - what of @from decides whether, and for whom, @to may be bound where @from
 * is; SO_REUSEADDR is left out
 */
void carry_for_bind(int from, int to);

#endif
