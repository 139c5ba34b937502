#!/bin/bash
# SPDX-License-Identifier: MIT
# Surroundings in which preload libraries break: odd processes and threads, other libraries beside us,
# sanitizers, programs with names of ours
# parallel: yes
. "$(dirname "$0")/shim.sh"

under "$B/tests/shim/hostile" || status=1
(ulimit -Sn 64 && under "$B/tests/shim/serve_odd") || status=1

if ! objdump -p "$B/libpunch.so" | grep -q 'NEEDED.*lib[a-z]*san'; then # whose own allocations are in the way
	under "$B/tests/shim/handler" || status=1
fi

ECHO=$((12000 + $$ % 2000))
start python3 tests/shim/echo.py $ECHO 2>/dev/null
wait_for listens $ECHO || fail "the echo server runs"
PUNCH=$LIB/libpunch.so

# --- a client of its own, that is built in many ways: waits in connect(), waits in poll(), in two threads
cat >"$T/client.c" <<'C'
#define _GNU_SOURCE
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char *port;

static void *work(void *flags)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *found;
	int fd = socket(AF_INET, SOCK_STREAM | (flags ? SOCK_NONBLOCK : 0), 0), error = -1;
	struct pollfd pollfd = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(error);
	char *data = malloc(100);

	if (getaddrinfo("bob", port, &hints, &found) || (connect(fd, found->ai_addr, found->ai_addrlen) < 0 && !flags))
		return "connect";
	if (flags && (poll(&pollfd, 1, 5000) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) || error))
		return "poll";
	freeaddrinfo(found);
	pollfd.events = POLLIN;
	memset(data, 'x', 100);
	if (write(fd, data, 100) != 100 || poll(&pollfd, 1, 5000) != 1 || read(fd, data, 100) < 1 || data[0] != 'x')
		return "echo";
	free(data);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	void *problem[2];

	port = argc > 1 ? argv[1] : "0";
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &problem[i]);
	puts(problem[0] ? problem[0] : problem[1] ? problem[1] : "works");
	return 0;
}
C
# works [VARIABLE=VALUE...] PROGRAM: says so, and nothing else
works() { [ "$(env LD_PRELOAD="$PUNCH" "$@" $ECHO 2>&1 | tee -a /dev/stderr)" = works ]; }
gcc -o "$T/client" "$T/client.c" -lpthread || fail "gcc builds the client"
check "the client works" works "$T/client"

# --- memory of other kinds
for name in jemalloc.so.2 tcmalloc_minimal.so.4; do
	library=$(ldconfig -p | sed -n "s/.*lib$name .*=> //p" | head -n 1)
	[ -n "$library" ] || { echo "SKIP lib$name: not installed" && continue; }
	check "lib$name behind us" works LD_PRELOAD="$PUNCH:$library" "$T/client"
	check "lib$name before us" works LD_PRELOAD="$library:$PUNCH" "$T/client"
done

# --- sanitizers: part of the program, or a library of their own that wants to be the first one
for kind in address undefined thread; do
	if clang -g -fsanitize=$kind -o "$T/clang-$kind" "$T/client.c" -lpthread 2>/dev/null; then
		check "clang -fsanitize=$kind" works "$T/clang-$kind"
	else
		echo "SKIP clang -fsanitize=$kind: it does not build here"
	fi
done
if gcc -g -fsanitize=address -o "$T/asan" "$T/client.c" -lpthread 2>/dev/null; then
	check "gcc -fsanitize=address, its library before us" works \
		LD_PRELOAD="$(gcc -print-file-name=libasan.so | xargs realpath):$PUNCH" "$T/asan"
	check "gcc -fsanitize=address, its library behind us" works ASAN_OPTIONS=verify_asan_link_order=0 "$T/asan"
	gcc -g -fsanitize=address -static-libasan -o "$T/asan-static" "$T/client.c" -lpthread
	check "gcc -fsanitize=address -static-libasan" works "$T/asan-static"
else
	echo "SKIP gcc -fsanitize=address: it does not build here"
fi

# --- a program that other libraries look into
cat >"$T/wrap.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static int calls;
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int (*next)(int, const struct sockaddr *, socklen_t) = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	return next(fd, address, size);
}
__attribute__((destructor)) static void tell(void)
{
	if (calls < atoi(getenv("LEAST")))
		_exit(99);
}
C
gcc -shared -fPIC -o "$T/wrap.so" "$T/wrap.c" -ldl
wrapped() { works "$@" && env "$@" $ECHO >/dev/null; }
check "another library that wraps connect(), before us" wrapped LEAST=2 LD_PRELOAD="$T/wrap.so:$PUNCH" "$T/client"
check "another library that wraps connect(), behind us" wrapped LEAST=1 LD_PRELOAD="$PUNCH:$T/wrap.so" "$T/client" # one of the two never comes to it
cat >"$T/audit.c" <<'C'
#define _GNU_SOURCE
#include <link.h>
unsigned int la_version(unsigned int version) { return version; }
unsigned int la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie)
{
	(void)map, (void)id, (void)cookie;
	return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
uintptr_t la_symbind64(Elf64_Sym *symbol, unsigned int index, uintptr_t *from, uintptr_t *to, unsigned int *flags, const char *name)
{
	(void)index, (void)from, (void)to, (void)flags, (void)name;
	return symbol->st_value;
}
C
gcc -shared -fPIC -o "$T/audit.so" "$T/audit.c"
check "LD_AUDIT" works LD_AUDIT="$T/audit.so" "$T/client"

# --- names of ours that mean something else in the program
{
	for name in accept accept4 bind connect getpeername getsockname getsockopt listen recvmsg send sendmsg sendto setsockopt \
		setuid socket; do
		echo "void $name(void) { __builtin_trap(); }"
	done
	echo 'int getaddrinfo(const char *, const char *, const void *, void **); int puts(const char *);'
	echo 'int main(void) { void *found; return puts(getaddrinfo("bob", "22", 0, &found) ? "no" : "works") < 0; }'
} >"$T/own.c"
if gcc -w -rdynamic -fno-builtin -o "$T/own" "$T/own.c"; then
	check "a program with a connect() and others of its own" works "$T/own"
else
	fail "gcc builds a program with a connect() of its own"
fi
exit $status
