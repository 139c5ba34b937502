/* SPDX-License-Identifier: MIT */
/*
 * punch_any_swap.h - what swap.h has not: swaps that a signal of the program can interrupt
 */
#ifndef PUNCH_ANY_SWAP_H
#define PUNCH_ANY_SWAP_H

/**
 * swap_kept() - the peer's socket that swap_socket() could not put in the place of @fd
 * @fd:		our copy of the program's socket
 * Return: it, once; the caller owns it.  -1 when there is none
 */
int swap_kept(int fd);

#endif
