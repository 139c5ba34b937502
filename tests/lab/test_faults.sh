#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# What may go wrong on a host: processes killed at the worst moment, no descriptors, no disk.
# Nothing hangs longer than PUNCH_TIMEOUT, and all is well again afterwards.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port delay=5ms -- port=preserve filtering=address-port delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000\n[service web]\nport = 8000'
punch_conf alice
echo_up() { lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 9000; }
echo_up
punch_published bob 9000

many() { lab_run alice punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 "$@" 2>>"$(lab_log many)"; }
many_bg() { # TOTAL AT-ONCE: as many(), output in $LAB_DIR/many
	lab_run alice punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 "$@" >"$LAB_DIR/many" 2>>"$(lab_log many)" &
	many_pid=$!
}
many_end() { # its line; it must have ended by itself
	lab_wait 30 "! kill -0 $many_pid 2>/dev/null"
	cat "$LAB_DIR/many"
}
hello() { echo hello | lab_run alice timeout 20 punch nc -N -w 15 bob 9000 2>>"$(lab_log many)"; }
worker() { punch_status "$1" .pid; }
sessions() { punch_status "$1" .sessions; }
kill_worker() { # HOST: its resolver dies by force
	local pid
	pid=$(worker "$1")
	kill -9 "$pid"
	lab_wait 5 "! kill -0 $pid 2>/dev/null"
}
open_files() { find "/proc/$(worker "$1")/fd" -mindepth 1 | wc -l; }
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# --- killed in the middle
lab_set natA delay=100ms
many_bg 20 20
lab_wait 10 "[ \"\$(sessions bob)\" -gt 0 ]"
kill_worker bob
out=$(many_end)
# A path that was handed over in that moment ends with the process that held its other end
lab_expect_match "the peer's resolver is killed while it is dialled ($out)" "$out" \
	'^[0-9]+ served(, [0-9]+ early end|, [0-9]+ ECONNRESET)*; in'

many_bg 20 20
lab_wait 10 "[ \"\$(sessions alice)\" -gt 0 ]"
kill_worker alice
lab_expect_match 'the own resolver is killed: an error, soon' "$(many_end)" 'ECONNABORTED; in [0-5]\.'
lab_expect_match 'and the next dials go through' "$(many 20 20)" '^20 served;'

# The peer does not answer meanwhile, so that no session ends by itself
level=$(open_files alice)
bob=$(worker bob)
kill -STOP "$bob"
for _ in 1 2 3; do
	many_bg 20 20
	lab_wait 10 "[ \"\$(sessions alice)\" = 20 ]"
	pkill -9 -P "$many_pid" -f many.py
	wait "$many_pid" 2>/dev/null
	lab_expect 'programs are killed while they connect: their sessions end' lab_poll 4 "[ \"\$(sessions alice)\" = 0 ]"
done
kill -CONT "$bob"
lab_expect 'no descriptor is left behind' lab_poll 20 "[ \$(open_files alice) -le $((level + 4)) ]"

many_bg 20 20 threads
lab_wait 10 "[ \"\$(sessions alice)\" -gt 0 ]"
kill_worker alice
lab_expect_match 'those who wait in connect() go on with the next one' "$(many_end)" '^20 served; in [0-9]\.'

# --- the program that serves goes away, and comes back
many_bg 20 20
lab_wait 10 "[ \"\$(sessions bob)\" -gt 0 ]"
lab_kill echo KILL
out=$(many_end)
lab_expect_match "the server exits between invitation and doorbell ($out)" "$out" '^0 served, .*; in [0-9]\.'
lab_expect_match 'then nobody is there' "$(many 1 1)" '^0 served, 1 EHOSTUNREACH; in [0-3]\.'
for _ in 1 2 3; do
	echo_up
	lab_wait_port bob 9000
	lab_expect_eq 'started again on the same port: reached at once' "$(hello)" hello
	lab_kill echo KILL
	wait "${LAB_BGPID[echo]}" 2>/dev/null
done
echo_up
lab_wait_port bob 9000

# --- two services at once
mkdir -p "$LAB_DIR/www" && head -c 300000 /dev/urandom >"$LAB_DIR/www/file"
lab_bg bob web punch python3 -m http.server 8000 --directory "$LAB_DIR/www"
punch_published bob 8000
many_bg 60 20
for i in 1 2 3 4 5 6 7 8; do
	lab_run alice punch curl -s http://bob:8000/file -o "$LAB_DIR/file$i" &
	pids[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do
	wait "${pids[$i]}" && cmp -s "$LAB_DIR/www/file" "$LAB_DIR/file$i" || lab_fail "two services at once: file $i"
done
lab_expect_match 'two services at once' "$(many_end)" '^60 served;'

# --- what programs do with the socket afterwards
lab_expect_eq 'fork after connect: parent and child both use it' "$(lab_run alice punch python3 -c '
import os, socket
s = socket.create_connection(("bob", 9000))
if os.fork() == 0:
    s.sendall(b"child "); os._exit(0)
os.wait()
s.sendall(b"parent"); s.shutdown(socket.SHUT_WR)
print(b"".join(iter(lambda: s.recv(100), b"")).decode())')" 'child parent'
lab_expect_eq 'exec after connect: the next program has it' "$(lab_run alice punch python3 -c '
import os, socket
s = socket.create_connection(("bob", 9000))
os.dup2(s.fileno(), 9); os.set_inheritable(9, True)
os.execvp("bash", ["bash", "-c", "echo executed >&9; read -r line <&9; echo $line"])')" executed
lab_expect_eq 'fork while connecting: the child finishes it' "$(lab_run alice punch python3 -c '
import os, select, socket
address = socket.getaddrinfo("bob", 9000, socket.AF_INET, socket.SOCK_STREAM)[0][4]
s = socket.socket(); s.setblocking(False)
s.connect_ex(address)
if os.fork() == 0:
    select.select([], [s], [], 15)
    print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[0].split(".")[0], flush=True)
    os._exit(0)
os.wait()')" '0 239'

# --- no descriptors left
prlimit --nofile=100 --pid "$(worker alice)"
busy=$(ticks "$(worker alice)")
out=$(many 60 60)
busy=$(($(ticks "$(worker alice)") - busy))
lab_expect_match "the caller's resolver has 100 descriptors: nothing hangs ($out)" "$out" 'in ([0-9]|1[0-6])\.'
lab_expect "nor does it burn the processor ($busy ticks)" [ "$busy" -lt 200 ]
lab_expect_eq 'afterwards it works, still with 100' "$(hello)" hello
prlimit --nofile=100 --pid "$(worker bob)"
busy=$(ticks "$(worker bob)")
out=$(many 60 60)
busy=$(($(ticks "$(worker bob)") - busy))
lab_expect_match "the callee's resolver has 100 descriptors: nothing hangs ($out)" "$out" 'in ([0-9]|1[0-6])\.'
lab_expect "nor does it burn the processor ($busy ticks)" [ "$busy" -lt 200 ]
lab_expect_eq 'afterwards it works, still with 100' "$(hello)" hello
kill_worker alice
kill_worker bob
lab_expect_eq 'new workers have their own limits again' "$(hello)" hello

# --- the saved state
state=$(find "$LAB_DIR/host/bob/home" -name '*.state' | head -n 1)
head -c 5000 /dev/urandom >"$state"
kill_worker bob
lab_expect 'a broken state file: the resolver runs' lab_poll 10 "lab_run bob punchctl status >/dev/null 2>&1"
lab_kill echo KILL
wait "${LAB_BGPID[echo]}" 2>/dev/null
echo_up
punch_published bob 9000
lab_expect_eq 'and a program that starts is published' "$(hello)" hello

# shellcheck disable=SC2016
nsenter -t "${LAB_PID[bob]}" --mount sh -c 'mount -t tmpfs -o size=4k full "$1" && ! head -c 100000 /dev/zero >"$1/fill"' \
	sh "$(dirname "$state")" 2>/dev/null
lab_kill echo KILL
wait "${LAB_BGPID[echo]}" 2>/dev/null
echo_up
punch_published bob 9000
lab_expect_eq 'the disk is full: a program that starts is published and reached' "$(hello)" hello
