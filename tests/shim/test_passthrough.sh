#!/bin/bash
# SPDX-License-Identifier: MIT
# What is not ours is not touched
# parallel: yes
. "$(dirname "$0")/shim.sh"

PLAIN=$B/tests/shim/plain

exports() {
	diff <(nm -D --defined-only "$B/libpunch.so" | awk '{ print $3 }' | sort) \
		<(sed -n 's/^\t\([a-z0-9_]*\);$/\1/p' shim/libpunch.map | sort)
}
check "exports exactly what libpunch.map lists" exports

needs() { # no library but libc and its loader
	! readelf -d "$B/libpunch.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so|ld-linux)'
}
check "needs no library but libc" needs

# calls FILE ROUND: names of the system calls of that round
calls() { awk -v round="$2" '/^sched_yield/ { n++; next } n == round { sub(/\(.*/, ""); print }' "$1"; }

strace -o "$T/native" "$PLAIN" || fail "strace works here"
strace -o "$T/none" env -u PUNCH_CONF HOME="$T" LD_PRELOAD="$B/libpunch.so" "$PLAIN"
sed '/\[service/,$d' "$T/conf/punch.conf" >"$T/conf/client.conf"
strace -o "$T/client" env PUNCH_CONF="$T/conf/client.conf" LD_PRELOAD="$B/libpunch.so" "$PLAIN"
strace -o "$T/server" env LD_PRELOAD="$B/libpunch.so" "$PLAIN"
strace -o "$T/quick" env PUNCH_SECRET=w PUNCH_RENDEZVOUS=r LD_PRELOAD="$B/libpunch.so" \
	"$PLAIN" names 127.0.0.1 >/dev/null
calls "$T/native" 2 >"$T/expected"
[ -s "$T/expected" ] || fail "the trace has two rounds"

same() { diff "$T/expected" <(calls "$T/$1" 2); }
check "without a configuration no call costs a system call more" same none
check "with peers no call costs a system call more" same client
# the port of a listening socket is not known without asking
one_more() { [ "$(diff "$T/expected" <(calls "$T/server" 2) | grep '^[<>]')" = '> getsockname' ]; }
check "with services only listen() costs one getsockname()" one_more
loads_nothing() { ! grep -q 'punch\.conf' "$T/quick"; }
check "in quick mode no file is read" loads_nothing

starts_nothing() { ! grep -qE 'punch-resolver|clone|SEQPACKET' "$T/client" "$T/server" "$T/none"; }
check "no resolver is started for strangers" starts_nothing

silent() { [ -z "$(under "$PLAIN" 2>&1)" ]; }
check "nothing is written" silent

if [ "$(id -u)" = 0 ]; then
	mkdir "$T/alone" && cp "$B/libpunch.so" "$B/tests/shim/secure" "$T/alone" # and no punch-resolver there
	chmod 755 "$T" "$T/alone"
	ordinary() {
		setpriv --reuid=1000 --regid=1000 --clear-groups env PUNCH_SECRET=w PUNCH_RENDEZVOUS=r \
			"$T/alone/secure" "$T/alone/libpunch.so" 2>&1
	}
	touched() { ordinary | grep -q 'cannot start .*/punch-resolver'; }
	check "an ordinary program is looked at" touched
	# root takes its configuration before anything else can happen
	cp "$PLAIN" "$B/tests/shim/threads" "$T/alone"
	late() {
		setpriv --reuid=1000 --regid=1000 --clear-groups sh -c 'ulimit -n 32; "$@"' sh env \
			LD_PRELOAD="$T/alone/libpunch.so" "$T/alone/plain" late a..b
	}
	not_stuck() { [ "$(late 2>&1)" = 'a..b: Name or service not known' ]; }
	check "a moment without descriptors leaves no name refused" not_stuck
	small() {
		setpriv --reuid=1000 --regid=1000 --clear-groups env LD_PRELOAD="$T/alone/libpunch.so" "$T/alone/threads" small
	}
	check "the first call may come in a thread with the smallest stack" small
	chown 65534 "$T/alone/secure" && chmod u+s "$T/alone/secure"
	untouched() { local said; said=$(ordinary) && [ -z "$said" ]; }
	check "a set-uid program is not" untouched
fi
exit $status
