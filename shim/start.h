/* SPDX-License-Identifier: MIT */
/*
 * start.h - bring the resolver to life
 */
#ifndef PUNCH_SHIM_START_H
#define PUNCH_SHIM_START_H

/**
 * start_resolver() - run punch-resolver --background and wait until it listens
 * Call inside a guard.
 * Return: 0 when one listens now; or -errno, after one line for people
 */
int start_resolver(void);

#endif
