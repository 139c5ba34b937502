/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - INTERFACE - what a process can still do once it serves strangers
 *
 * Landlock (files, TCP ports, signals and abstract sockets of other processes) and seccomp (system calls),
 * both without privilege and inherited by children.  Each sibling has a file sandbox.c of its
 * own with one function that says what it needs; here is how it is done.
 */
#ifndef PUNCH_SANDBOX_H
#define PUNCH_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct sandbox - what is left; everything else is refused (EACCES of Landlock, EPERM of seccomp)
 * @read:	files and folders (with all that is in them) that can be read; NULL-terminated,
 *		as the other lists. Those that do not exist are passed over
 * @execute:	the same, for programs and their libraries
 * @write:	logs: a regular file, there or not, can be made and written in its folder, as
 *		can its neighbours; anything else is just that file
 * @bind:	TCP ports that can be bound, ended by 0; NULL: any
 * @connect:	TCP ports that can be connected to, ended by 0; NULL: any
 * @alone:	no signals and abstract sockets to processes outside
 * @no_code:	no memory becomes code: nothing is loaded any more
 * @internet:	sockets can be made, of IPv4 and IPv6
 * @calls:	system calls by name beside those that every server makes; names that this
 *		machine does not know are passed over
 */
struct sandbox {
	const char *const *read;
	const char *const *execute;
	const char *const *write;
	const uint16_t *bind;
	const uint16_t *connect;
	bool alone;
	bool no_code;
	bool internet;
	const char *const *calls;
};

/**
 * sandbox_enter() - from here on, and for ever
 * @why:	one line for people on failure, and on success about what this kernel lacks, else empty
 * Needs no_new_privs (drop_privileges()).  An old kernel without Landlock, or with less of it, gives what it has.
 * Return: 0, or -errno when what the kernel has could not be used, with as much of it as could: a server should not
 * serve then
 */
int sandbox_enter(const struct sandbox *sandbox, char *why, size_t size);

/**
 * sandbox_refuse() - for a process that needs too much for a list: all can be done but this, from here on and for ever
 * @calls:	system calls by name, NULL-terminated, that fail with EPERM. Beside them fail:
 *		new namespaces, and memory that can be written and run
 * @why:	as above
 * Needs no_new_privs. Inherited by children and programs that are executed.
 * Return: 0 or -errno
 */
int sandbox_refuse(const char *const *calls, char *why, size_t size);

#endif
