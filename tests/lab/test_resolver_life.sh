#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# The resolver comes by itself, from any kind of program, goes when idle, and may be killed at any moment.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve delay=5ms -- port=preserve delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
hello() { echo hello | lab_run alice timeout 20 punch nc -N -w 10 bob 9000; }

lab_expect_eq 'first need starts it' "$(hello)" hello
lab_expect 'one process answers' lab_run alice punchctl status
lab_run alice punchctl stop
lab_expect 'punchctl stop ends it' lab_poll 5 '! lab_run alice punchctl status >/dev/null 2>&1'
lab_expect_eq 'the next need starts it again' "$(hello)" hello
lab_run alice punchctl stop

lab_expect_eq 'from a program without descriptors, elsewhere, with all signals blocked' "$(lab_run alice punch python3 -c '
import os, signal, socket, sys
out = os.dup(1)
os.set_inheritable(out, False)
os.closerange(0, 3)
os.chdir("/")
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
s = socket.create_connection(("bob", 9000), 15)
s.sendall(b"bare\n"); s.shutdown(socket.SHUT_WR)
os.write(out, s.recv(100))')" bare

# --- idle
lab_run alice punchctl stop
lab_expect_eq 'with a short idle time' "$(PUNCH_IDLE=1 hello)" hello
lab_expect 'it leaves by itself' lab_poll 10 '! lab_run alice punchctl status >/dev/null 2>&1'

# --- killed: an established connection lives on
hello >/dev/null
mkfifo "$LAB_DIR/in" && exec 8<>"$LAB_DIR/in"
lab_run alice punch nc bob 9000 <"$LAB_DIR/in" >"$LAB_DIR/out" &
nc=$!
echo before >&8
lab_wait 10 "grep -q before $LAB_DIR/out"
for host in alice bob; do
	pid=$(punch_status "$host" .pid)
	kill -9 "$pid"
	lab_wait 10 "! kill -0 $pid 2>/dev/null"
done
echo after >&8
lab_expect 'both resolvers killed: the connection goes on' lab_poll 10 "grep -q after $LAB_DIR/out"
exec 8>&-
kill "$nc" 2>/dev/null
lab_expect 'the service is published again by itself' lab_poll 20 \
	"[ \"\$(punch_status bob '.services | length')\" = 1 ] && [ \"\$(punch_status bob '.rendezvous[0].state')\" = ready ]"
lab_expect_eq 'and reached again' "$(hello)" hello

# --- the rendezvous restarts
lab_stop rendezvous
punch_servers
lab_expect_eq 'after a restart of the rendezvous' "$(hello)" hello
