#!/bin/bash
# SPDX-License-Identifier: MIT
# How many system calls the library costs: when a program starts, and later
# parallel: yes
. "$(dirname "$0")/shim.sh"

PLAIN=$B/tests/shim/plain
SO=$B/libpunch.so

if objdump -p "$SO" | grep -q 'NEEDED.*lib[a-z]*san'; then
	echo "SKIP system calls: $SO is built with sanitizers"
	exit 77
fi

# --- the start: what comes behind the loader's own work

# startup [ENV...] -- STRACE-OPTION...: names of the calls of /bin/true that neither the loader nor malloc() makes
startup() {
	local variables=()
	while [ "$1" != -- ]; do
		variables+=("$1")
		shift
	done
	shift
	"${variables[@]}" strace -o "$T/trace" "$@" /bin/true || echo "strace does not work here"
	sed '1,/^munmap/d; /^+++/d; /^brk\|^getrandom/d; s/(.*//; s/^newfstatat/fstat/' "$T/trace" | tr '\n' ' '
}
native=$(startup env --)

# costs NAME CALLS WHAT...: "startup WHAT" makes exactly these calls, then those of the program itself
costs() {
	local name=$1 calls=$2 found
	shift 2
	found=$(startup "$@")
	if [ "$found" = "$calls$native" ]; then ok "$name"; else fail "$name" "\"$found\", not \"$calls$native\""; fi
}
costs "quick mode: descriptor 2 is looked at, nothing else" "fstat " \
	env PUNCH_SECRET=w PUNCH_RENDEZVOUS=r -- -E LD_PRELOAD="$SO"
# descriptor 2; its version; open, fstat, read, the end of it, close; its folder
reads="fstat fstat openat fstat read read close fstat "
costs "punch.conf is read in seven calls" "$reads" env -- -E LD_PRELOAD="$SO"
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T" "$T/conf" && chmod 644 "$T/conf/punch.conf" && mkdir -m 777 "$T/open" && cp "$SO" "$T/open"
	(
		T=$T/open
		costs "others: punch.conf is read, too" "$reads" \
			setpriv --reuid=65534 --regid=65534 --clear-groups -- -E LD_PRELOAD="$T/libpunch.so"
		exit $status
	) || status=1
fi

# mapping LIBRARY: how many calls the loader makes
mapping() { strace -E LD_PRELOAD="$1" /bin/true 2>&1 | sed '/^munmap/q' | wc -l; }
echo 'extern int something; int something;' | ${CC:-gcc} -shared -fPIC -x c -o "$T/empty.so" - || fail "an empty library is built"
few() { [ "$(mapping "$SO")" -le "$(mapping "$T/empty.so")" ]; }
check "the loader makes no more calls for it than for an empty library" few

# --- sockets that are not ours

# calls FILE ROUND: names of the system calls of that round
calls() { awk -v round="$2" '/^sched_yield/ { n++; next } n == round { sub(/\(.*/, ""); print }' "$1"; }
strace -o "$T/native" "$PLAIN"
calls "$T/native" 2 >"$T/expected"

# getpeername() of a socket that may be the peer's needs its cookie; the port of a listener must be asked for
start python3 -m http.server --bind 127.0.0.1 "$SSH_PORT" >/dev/null 2>&1
wait_for listens "$SSH_PORT" || fail "a server listens"
strace -o "$T/beside" -E LD_PRELOAD="$LIB/libpunch.so" "$PLAIN" beside bob "$SSH_PORT" >"$T/said" 2>&1 ||
	fail "a peer is connected" "$(cat "$T/said")"
two_more() {
	local more
	more=$(diff "$T/expected" <(calls "$T/beside" 2) | grep '^[<>]' | sort | tr '\n' ' ')
	[ "$more" = '> getsockname > getsockopt ' ] || { echo "$more"; return 1; }
}
check "while a peer is connected getpeername() and listen() cost one call more, others nothing" two_more

# A connect() to a host asks for the socket's cookie while another one waits for its peer: it may be the same
beside_a_waiting_one() {
	local made
	strace -o "$T/waiting" -E LD_PRELOAD="$LIB/libpunch.so" python3 -c "
import os, socket
listener = socket.create_server(('127.0.0.1', 0))
host = listener.getsockname()
address = socket.getaddrinfo('never', 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
waiting = socket.socket()
waiting.setblocking(False)
waiting.connect_ex(address)
tcp, unix = socket.socket(), socket.socket(socket.AF_UNIX)
os.sched_yield()
tcp.connect(host)
unix.connect_ex('/nonexistent')
os.sched_yield()"
	made=$(calls "$T/waiting" 1 | tr '\n' ' ')
	[ "$made" = 'getsockopt connect connect ' ] || { echo "$made"; return 1; }
}
check "while a socket waits for its peer connect() of others costs one call more, to a Unix socket nothing" beside_a_waiting_one

# A descriptor that the program neither connected nor accepted may be a peer's: exec() loses what was known of it
inherited() {
	local made
	exec 7<>"/dev/tcp/127.0.0.1/$SSH_PORT"
	strace -o "$T/inherited" -E LD_PRELOAD="$LIB/libpunch.so" python3 -c "
import os, socket
s = socket.socket(fileno=7)
for i in range(2):
	os.sched_yield()
	s.getpeername()
os.sched_yield()"
	exec 7>&-
	made=$(calls "$T/inherited" 2 | tr '\n' ' ')
	[ "$made" = 'getpeername getsockopt ' ] || { echo "$made"; return 1; }
}
check "getpeername() of an inherited socket costs one call more" inherited

# accepted ADDRESS...: a client of each, one after the other, is accepted at the port of a service
accepted() {
	strace -o "$T/accepted" -E LD_PRELOAD="$LIB/libpunch.so" python3 -c "
import os, socket, sys
listener = socket.create_server(('127.0.0.1', $WEB))
for address in sys.argv[1:]:
	client = socket.socket()
	client.bind((address, 0))
	client.connect(('127.0.0.1', $WEB))
	os.sched_yield()
	s, peer = listener._accept()
	os.sched_yield()
	assert peer[0] == address, peer
os.sched_yield()" "$@"
}
accepted 127.0.0.1 127.0.0.1 127.112.0.9 || fail "clients are accepted"
alone() { [ "$(calls "$T/accepted" 3)" = accept4 ]; }
check "accept() of a client that is not the resolver costs nothing" alone
asks() { calls "$T/accepted" 5 | grep -q sendmsg; }
check "accept() of a client from the doorbell's addresses asks the resolver" asks
exit $status
