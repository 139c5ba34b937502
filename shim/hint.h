/* SPDX-License-Identifier: MIT */
/*
 * hint.h - a word about names that are nearly a peer's
 */
#ifndef PUNCH_SHIM_HINT_H
#define PUNCH_SHIM_HINT_H

/**
 * hint_name() - libc has found no such name: was a peer meant?
 * Says so once in a process and its children; errno is kept.
 */
void hint_name(const char *name);

#endif
