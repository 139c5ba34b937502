/* SPDX-License-Identifier: MIT */
/*
 * file.h - small files of ours: written whole or not at all, and read only when nobody else could have
 */
#ifndef PUNCH_FILE_H
#define PUNCH_FILE_H

#include <stddef.h>
#include <sys/types.h>

/**
 * file_read_private() - a small file of ours, or of root, that nobody else may access
 * @text:	receives the bytes, without a NUL; the caller wipes it
 * @room:	files of this size or above are refused
 * @why:	one line for people on failure, naming the file
 * Return: bytes, or -EPERM (group or others may access it, or it is another user's), -EFBIG, -EISDIR, -errno of open()
 */
ssize_t file_read_private(const char *path, char *text, size_t room, char *why, size_t size);

/**
 * file_create() - a new file, mode 0600, on disk with its name when the call returns
 *
 * It appears whole or not at all: it is written under another name, then given its own by link(), which unlike
 * rename() never replaces, nor follows a symbolic link.  The folder must exist.
 * Return: 0, -EEXIST, or -errno
 */
int file_create(const char *path, const void *data, size_t size);

/**
 * file_replace() - the new contents of a file, there or not; mode 0600
 *
 * At each moment, also after a crash or a power failure, there is the old file or the new one, whole.  Of several who
 * write at one time one wins.  A symbolic link is itself replaced.  The folder must exist.
 * Return: 0, or -errno and the old file is untouched
 */
int file_replace(const char *path, const void *data, size_t size);

/** file_make_folders() - mkdir -p of a file's folder, 0700 for what is new. What fails shows when the file is opened */
void file_make_folders(const char *path);

/** file_open_folder() - that a file is in, to sync or lock. Return: descriptor, owned by the caller, or -errno */
int file_open_folder(const char *path);

#endif
