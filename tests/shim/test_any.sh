#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# "punch --any": programs that no preload reaches, and those that it does, side by side
. "$(dirname "$0")/shim.sh"

P=$LIB/punch GO=$B/tests/any/go FIXED=$B/tests/any/fixed
ECHO=$((10000 + $$ % 1900)) # below the ephemeral ports
export GOTRACEBACK=none

[ -x "$GO" ] || { echo "SKIP Go programs: no go here" && GO=; }
[ -x "$FIXED" ] || { echo "SKIP static programs: no musl-gcc here" && FIXED=; }

# Loopback alone is needed, and nobody else's ports
start python3 tests/shim/echo.py $ECHO 2>/dev/null
wait_for listens $ECHO || fail "the echo server runs"

# prints PATTERN CMD...: all that CMD says matches
prints() {
	local pattern=$1 said
	shift
	said=$(timeout 30 "$@" 2>&1 </dev/null)
	[[ $said =~ ^$pattern$ ]] && return
	printf '%s\n' "$said"
	return 1
}
ring() { timeout 10 "$DOUBLE" ring "${1:-bob}" "$WEB" </dev/null; }

# supervisors: process numbers of those that this test's programs have
supervisors() { pgrep -x punch-any; }

# --- the tests of the library, served from outside
check "programs of the library's own tests: blocking connect" prints '.*# ok - .*' "$P" --any "$B/tests/shim/connect_blocking"
check "programs of the library's own tests: connect that does not wait" prints '.*# ok - .*' "$P" --any "$B/tests/shim/connect_async"
check "programs of the library's own tests: odd sockets" prints '.*# ok - .*' "$P" --any "$B/tests/shim/connect_odd"
check "programs of the library's own tests: listen and accept" prints '.*# ok - .*' "$P" --any "$B/tests/shim/serve"
check "programs of the library's own tests: shut by another thread" prints 'ok - shut_by_.*' "$P" --any "$B/tests/shim/twice" shut_by
check "programs of the library's own tests: shut twice" prints 'ok - shut_twice.*' "$P" --any "$B/tests/shim/twice" shut_twice
check "programs of the library's own tests: signals" prints 'ok - signals_.*ok - signals_.*' "$P" --any "$B/tests/shim/twice" signals
check "programs of the library's own tests: a host where a peer was" prints \
	'ok - a_host_after_a_refusal.ok - a_host_by_a_duplicate_.*.ok - a_host_after_it_was_shut.ok - a_host_while_it_connects' \
	sh -c "'$P' --any '$B/tests/shim/twice' a_host 2>/dev/null"
check "programs of the library's own tests: threads that connect one socket" prints '.*# ok - .*' \
	"$P" --any "$B/tests/shim/hostile" threads_connect_one_socket
check "programs of the library's own tests: no descriptor left" prints '.*# ok - .*' \
	sh -c "ulimit -Sn 64; exec '$P' --any '$B/tests/shim/serve_odd' a_client_waits_while_no_descriptor_is_left"
check "programs of the library's own tests: look-ups" prints '.*# ok - .*' "$P" --any "$B/tests/shim/names"

# --- clients
if [ -n "$GO" ]; then
	check "Go: connects, and shows the peer" prints "1 239\.192\.0\.101:$ECHO" "$P" --any "$GO" dial bob:$ECHO
	check "Go: an alias, and a literal one" prints "1 239\.192\.0\.101:$ECHO" "$P" --any "$GO" dial bob.example.org:$ECHO
	check "Go: a literal alias" prints "1 239\.192\.0\.101:$ECHO" "$P" --any "$GO" dial 10.9.0.2:$ECHO
	check "Go: forty at once, 100 kB each" prints "40 239\.192\.0\.102:$ECHO" "$P" --any "$GO" dial slow:$ECHO 40 100000
	check "Go: an ordinary connection is one" prints "8 127\.0\.0\.1:$ECHO" "$P" --any "$GO" dial 127.0.0.1:$ECHO 8
	check "Go: refused, with one line" prints "punch: refuser: .*"$'\n'"connection refused" "$P" --any "$GO" dial refuser:$ECHO
	check "Go: its own time limit" prints "timeout" "$P" --any "$GO" timeout slow:$ECHO 300
	check "Go starts a dynamic program: one connection each" prints \
		"1 239\.192\.0\.101:$ECHO" "$P" --any "$GO" run python3 -c "
import socket
s = socket.create_connection(('bob', $ECHO), 10)
s.sendall(b'hello'); assert s.recv(5) == b'hello'
print('1 %s:%d' % s.getpeername())"
	check "a dynamic program starts Go" prints "1 239\.192\.0\.101:$ECHO" "$P" --any sh -c "\"$GO\" dial bob:$ECHO"
fi
if [ -n "$FIXED" ]; then
	check "musl: blocks, and shows the peer" prints "239\.192\.0\.102 hello" "$P" --any "$FIXED" dial slow $ECHO
	check "musl: a signal ends connect(), which goes on" prints "interrupted, 239\.192\.0\.102 hello" "$P" --any "$FIXED" alarm slow $ECHO
	check "musl: threads that do not connect go on" prints "(239\.192\.0\.102 hello"$'\n'"){4}the others went on" \
		"$P" --any "$FIXED" threads slow $ECHO
	check "musl: errno of what failed" prints "punch: never: .*"$'\n'"connect: .*timed out" "$P" --any "$FIXED" dial never $ECHO
	check "io_uring is refused, with one line" prints 'punch: io_uring is refused .*'$'\n''.*not implemented' "$P" --any "$FIXED" uring
	check "without --any nothing of it is refused" prints '.*punch --any.*'$'\n''Bad address' "$P" "$FIXED" uring
fi
# --- servers
greets() { # PATTERN NAME: the first line that the server says
	[[ $(ring "$2") =~ ^$1 ]]
}
if [ -n "$GO" ]; then
	start "$P" --any "$GO" serve ":$WEB" "$T/log"
	wait_for listens "$WEB"
	echoes() { [ "$( (echo hello; sleep 0.3) | timeout 10 "$DOUBLE" ring bob "$WEB")" = hello ]; }
	check "Go serves a peer" wait_for echoes
	check "Go sees the peer's address" wait_for grep -q '^239\.192\.0\.101:' "$T/log"
	check "Go sees a local client's own" prints hello sh -c "echo hello | nc -N 127.0.0.1 $WEB && grep -q '^127\.0\.0\.1:' '$T/log' && grep -qv nothing '$T/log'"
	pid=${STARTED[-1]}
	check "punch became the program" [ "$(cat "/proc/$pid/comm")" = go ]
	kill "$pid"
	wait "$pid"
	check "SIGTERM to punch is the program's" [ $? = 143 ]
fi
if [ -n "$FIXED" ]; then
	start "$P" --any "$FIXED" serve "$WEB"
	check "musl serves a peer, blocking, and sees its address" wait_for greets '239\.192\.0\.101 239\.192\.0\.101' bob
	kill "${STARTED[-1]}"
	wait "${STARTED[-1]}" 2>/dev/null
	check "musl: the port is free at once, also after a signal" prints "free each time" "$P" --any "$FIXED" again "$WEB"
fi

# --- the program's surroundings
check "exit status" bash -c "'$P' --any sh -c 'exit 7'; [ \$? = 7 ]"
check "death by a signal" bash -c "'$P' --any sh -c 'kill -9 \$\$'; [ \$? = 137 ]" 2>/dev/null
check "stdin and stdout" prints 'HELLO' sh -c "echo hello | '$P' --any tr a-z A-Z | cat"
check "a pipe ends with the program, though another process of the tree lives on" \
	timeout 3 bash -c "x=\$('$P' --any sh -c 'sleep 5 >/dev/null 2>&1 & echo out'); [ \"\$x\" = out ]"
check "no descriptor of ours is in the program" prints "$(timeout 5 sh -c 'cd /proc/self/fd && echo *' </dev/null | cat)" \
	"$P" --any sh -c 'cd /proc/self/fd && echo *'
check "the supervisor is no child of the program" prints '' "$P" --any sh -c 'pgrep -P $$ -x punch-any'
tty_said() { # Ctrl-C and Ctrl-Z at a terminal reach the program alone
	timeout 20 python3 - "$P" <<'PY'
import os, pty, signal, sys

shell, tty = pty.fork()
if shell == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        for number in signal.SIGTTOU, signal.SIGINT, signal.SIGTSTP:  # ignored in what a shell runs beside it
            signal.signal(number, signal.SIG_DFL)
        # no shell that starts commands: dash, in vfork(), cannot stop until a child that was stopped first has exec'd
        os.execv(sys.argv[1], [sys.argv[1], "--any", "perl", "-e",
                 "$| = 1; $SIG{INT} = sub { print qq(int\\n); exit 5 }; print qq(ready\\n); sleep 1 while 1"])
    assert os.WIFSTOPPED(os.waitpid(job, os.WUNTRACED)[1])
    print("stopped", flush=True)
    os.killpg(job, signal.SIGCONT)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
def until(word):
    said = b""
    while word not in said:
        said += os.read(tty, 100)
until(b"ready")
os.write(tty, b"\x1a")
until(b"stopped")
os.write(tty, b"\x03")
until(b"int")
assert os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]) == 5
PY
}
check "Ctrl-Z and Ctrl-C at a terminal" tty_said
check "in itself it says so" prints 'punch: --any: another supervisor.*' "$P" --any "$P" --any true
check "punch in punch --any" prints "239\.192\.0\.101" "$P" --any "$P" python3 -c "
import socket
print(socket.create_connection(('bob', $ECHO), 10).getpeername()[0])"

# --- the supervisor's death
if [ -n "$GO" ]; then
	before=$(supervisors)
	"$P" --any "$GO" keep bob:$ECHO "$T/pause" >"$T/said" 2>&1 &
	pid=$!
	wait_for grep -q '^connected' "$T/said"
	mine=$(comm -13 <(sort <<<"$before") <(supervisors | sort))
	check "one supervisor a program" [ "$(wc -w <<<"$mine")" = 1 ]
	kill -TERM "$mine"
	check "SIGTERM does not end it before the program" kill -0 "$mine"
	kill -KILL "$mine"
	touch "$T/pause"
	wait $pid
	check "killed: connections live" grep -q '^alive' "$T/said"
	check "killed: further ones fail" grep -q 'function not implemented' "$T/said"
fi
gone() { [ -z "$(comm -23 <(supervisors | sort) <(sort <<<"${before:-}"))" ]; }
check "no supervisor outlives its program" wait_for gone

# --- without privilege; in a folder that is open to others, as the project's own may not be
if [ "$(id -u)" = 0 ]; then
	mkdir "$T/bin" && chmod 755 "$T" "$T/conf" "$T/bin" && chmod 644 "$T/conf/punch.conf"
	cp "$P" "$LIB/libpunch.so" ${GO:+"$GO"} ${FIXED:+"$FIXED"} "$T/bin"
	cp "$DOUBLE" "$T/bin/punch-resolver"
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent)
	any=("${as[@]}" "$T/bin/punch" --any)
	[ -z "$GO" ] || check "nobody: Go" prints "40 239\.192\.0\.101:$ECHO" "${any[@]}" "$T/bin/go" dial bob:$ECHO 40
	[ -z "$FIXED" ] || check "nobody: musl" prints "239\.192\.0\.101 hello" "${any[@]}" "$T/bin/fixed" dial bob $ECHO
	check "nobody: its user stays the same" prints '65534 65534' "${any[@]}" sh -c 'echo $(id -u) $(id -g)'
	check "nobody: it has no capability more" prints '0+' "${any[@]}" sed -n 's/^CapEff:\t//p' /proc/self/status
	for size in ${FIXED:+16 128}; do
		check "memory that nobody may look into: an address of $size bytes is refused" \
			prints ".*"$'\n'"Permission denied" "${as[@]}" unshare -Ur sh -c "echo 0 >/proc/sys/user/max_user_namespaces
				exec setpriv --bounding-set -all --inh-caps -all '$T/bin/punch' --any '$T/bin/fixed' closed $size"
	done
	[ -z "$GO" ] || check "no user namespace to be had: it says so, and serves addresses" \
		prints "punch: warning: no /etc/hosts [^"$'\n'"]*"$'\n'"1 239\.192\.0\.101:$ECHO" "${as[@]}" unshare -Ur \
		sh -c "echo 0 >/proc/sys/user/max_user_namespaces
			exec setpriv --bounding-set -all --inh-caps -all '$T/bin/punch' --any '$T/bin/go' dial 10.9.0.2:$ECHO"
	"${as[@]}" "$T/bin/punch-resolver" stop
fi
exit $status
