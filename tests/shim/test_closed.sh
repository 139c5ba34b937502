#!/bin/bash
# SPDX-License-Identifier: MIT
# Where punch cannot work, it refuses: nothing goes to DNS or to another host
# parallel: yes
. "$(dirname "$0")/shim.sh"

PLAIN=$B/tests/shim/plain

# looked_up NAMES: prints what the program says; its network system calls are in $T/trace
looked_up() { strace -f -o "$T/trace" -e trace=network,clone env LD_PRELOAD="$LIB/libpunch.so" "$PLAIN" names "$1" 2>&1; }
no_network() { ! grep -E 'AF_INET|nscd|resolved' "$T/trace"; }
connects() { # ADDRESS: errno's name
	under python3 -c "
import errno, socket
s = socket.socket()
try:
	s.connect(('$1', 9))
except OSError as e:
	print(errno.errorcode[e.errno])"
}

grown() {
	sed '/^.peer slow/,/^key/d' "$T/conf/punch.conf" >"$T/conf/small.conf"
	PUNCH_CONF=$T/conf/small.conf under python3 -c "
import os, socket
socket.getaddrinfo('bob', 22)
os.rename('$T/conf/punch.conf', '$T/conf/small.conf')
print(socket.gethostbyname('slow'))
os.rename('$T/conf/small.conf', '$T/conf/punch.conf')"
}
says_102() { [ "$(grown 2>&1)" = 239.192.0.102 ]; }
check "a peer added while a program runs is known to it" says_102
PUNCH_CONF=$T/conf/small.conf "$DOUBLE" stop

# What root had in reach when it began it knows later on, too
if [ "$(id -u)" = 0 ]; then
	mkdir "$T/jail" && chmod 755 "$T"
	jailed() { # CALLS THAT LEAVE THE FILE BEHIND
		[ "$(under python3 -c "
import encodings.idna, os, socket
$1
print(socket.gethostbyname('bob'))" 2>&1)" = 239.192.0.101 ]
	}
	under python3 -c "import socket; socket.gethostbyname('bob')" # the resolver runs
	check "in a chroot() peers are known" jailed "os.chroot('$T/jail')"
	chmod 700 "$T/conf"
	check "without privileges peers are known" jailed "os.seteuid(65534)"
	cp "$T/conf/punch.conf" "$T/small.conf"
	yes '; a comment that makes the file long' | head -n 2000 >>"$T/conf/punch.conf"
	check "in a chroot(), from a long file" jailed "os.chroot('$T/jail')"
	cat "$T/small.conf" >"$T/conf/punch.conf"
	chmod 755 "$T/conf"
	"$DOUBLE" stop
fi

sed -i 's/^rendezvous = .*/rendezvous = no such host!/' "$T/conf/punch.conf"
broken() {
	local said lines
	said=$(looked_up 'bob bob.example.org')
	lines=$(grep -c '^punch: ' <<<"$said")
	grep -q '^bob: Non-recoverable' <<<"$said" && grep -q "punch.conf:4: .*rendezvous" <<<"$said" && [ "$lines" = 2 ]
}
check "a broken file: its peers are known, and refused with file and line" broken
check "a broken file: no packet for them" no_network
check "a broken file: nothing is started" bash -c "! grep -q clone '$T/trace'"
alias_refused() { [ "$(connects 10.9.0.2 2>"$T/err")" = ENETUNREACH ] && [ "$(grep -c punch.conf:4 "$T/err")" = 1 ]; }
check "a broken file: a literal alias is unreachable, in one line" alias_refused
strangers() { [ "$(under "$PLAIN" names localhost 2>&1)" = 'localhost: 127.0.0.1' ]; }
check "a broken file: others are looked up as ever" strangers

export PUNCH_CONF=$T/conf/missing.conf
missing() { looked_up 'bob example.org' | grep -c 'cannot read' | grep -qx 2 && no_network; }
check "a missing file: no name at all goes to DNS" missing
check "a missing file: localhost works" strangers

unset PUNCH_CONF
export HOME=$T XDG_CONFIG_HOME=$T/none
[ -e /etc/punch/punch.conf ] || {
	unconfigured() { [ "$(connects 239.192.0.101 2>&1)" = ENETUNREACH ]; }
	check "no configuration: a stand-in is unreachable" unconfigured
}
unset XDG_CONFIG_HOME

mkdir "$T/alone" && cp "$B/libpunch.so" "$T/alone/"
LIB=$T/alone
export PUNCH_SECRET=one PUNCH_RENDEZVOUS=rdv.example.org
no_resolver() {
	local said
	said=$(looked_up bob.punch)
	grep -q '^bob.punch: Temporary failure' <<<"$said" &&
		[ "$(grep '^punch: ' <<<"$said")" = "punch: cannot start $T/alone/punch-resolver: No such file or directory" ]
}
check "no punch-resolver: EAI_AGAIN and one line" no_resolver
check "no punch-resolver: no packet" no_network
printf '#!/bin/sh\necho "punch-resolver: the key is wrong" >&2\nexit 78\n' >"$T/alone/punch-resolver"
chmod +x "$T/alone/punch-resolver"
refusing() {
	looked_up bob.punch >"$T/said"
	[ "$(grep -c '^punch' "$T/said")" = 1 ] && grep -q '^punch-resolver: the key is wrong' "$T/said"
}
check "punch-resolver refuses: its line, and no other" refusing

LIB=$B/tests/shim/lib
unset PUNCH_RENDEZVOUS
halfway() { looked_up bob.punch | grep -q 'PUNCH_SECRET is set but not PUNCH_RENDEZVOUS' && no_network; }
check "quick mode without a rendezvous is refused" halfway

export PUNCH_RENDEZVOUS=rdv.example.org
guessed() { # a program under the bare preload: the resolver, which it would start, refuses
	mkdir -p "$T/real" && cp "$B/libpunch.so" "$B/punch-resolver" "$T/real/" &&
		(LIB=$T/real PUNCH_SECRET='blue horse' looked_up bob.punch) | grep -q '^punch-resolver: the secret word is weak' && no_network
}
check "a word that could be guessed is refused without the runner" guessed
two_words() {
	[ "$(under "$PLAIN" names bob.punch)" = 'bob.punch: 239.192.0.101' ] &&
		[ "$(PUNCH_SECRET=two under "$PLAIN" names BOB.punch.)" = 'BOB.punch.: 239.192.0.101' ] &&
		PUNCH_SECRET=two "$DOUBLE" stop
}
check "two secret words have a resolver each" two_words
"$DOUBLE" stop

if [ "$(id -u)" = 0 ]; then
	export PUNCH_AS=squatted
	chmod 755 "$T" && cp "$DOUBLE" "$T/alone/double"
	start setpriv --reuid=1000 --clear-groups "$T/alone/double" squat 0
	wait_for grep -q q-squatted/0 /proc/net/unix || fail "the name is taken"
	squatted() { [ "$(under "$PLAIN" names bob.punch)" = 'bob.punch: 239.192.0.101' ]; }
	check "a name taken by another user is passed over" squatted
fi
exit $status
