/* SPDX-License-Identifier: MIT */
/*
 * empty.c - a library with nothing in it: what preloading itself costs
 */
extern int nothing;
int nothing;
