/* SPDX-License-Identifier: MIT */
/*
 * secure.c - loads the library given and calls listen() by way of it
 *
 * The loader drops a preload in set-uid programs by itself; this one shows
 * what the library does if it gets into one all the same.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	union {
		void *address;
		int (*call)(int, int);
	} listen_there = { .address = library ? dlsym(library, "listen") : NULL };

	if (!listen_there.address) {
		fprintf(stderr, "secure: %s\n", dlerror());
		return 2;
	}
	return listen_there.call(fd, 1) == 0 ? 0 : 1;
}
