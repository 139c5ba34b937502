/* SPDX-License-Identifier: MIT */
/*
 * private.h - files with secrets in them
 */
#ifndef PUNCH_PRIVATE_H
#define PUNCH_PRIVATE_H

#include <stddef.h>
#include <sys/types.h>

/**
 * private_read() - a small file of ours, or of root, that nobody else may access
 * @text:	receives the bytes, without a NUL; the caller wipes it
 * @room:	files of this size or above are refused
 * @why:	one line for people on failure, naming the file
 * Return: bytes, or -EPERM (group or others may access it, or it is another user's), -EFBIG, -EISDIR, -errno of open()
 */
ssize_t private_read(const char *path, char *text, size_t room, char *why, size_t size);

/**
 * private_write() - a new file, mode 0600, on disk when the call returns
 *
 * It appears whole or not at all: it is written under another name, then
 * given its own by link(), which unlike rename() never replaces.  The folder must exist.
 * Return: 0, -EEXIST, or -errno
 */
int private_write(const char *path, const char *data, size_t size);

#endif
