#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# soak.sh - does it last? Connections without end, while everything that can fail around them does
#
#	SOAK_SECONDS=600 SEED=1 tests/bench/soak.sh
#
# Two hosts behind NATs connect up to thirty times, ten at once, encrypted or bare, direct or relayed; before each round one
# thing happens by lot: a resolver is killed or stopped, the server program or the rendezvous starts anew, a NAT turns into one
# of another kind, the line begins to lose packets, a program is killed while it dials. What was under way may break by that;
# each connection of the round after it must be made and carry its bytes. At the end: the rounds that were not whole, and
# the memory and descriptors that each process of punch had at its first look and at its last.
S=$(dirname "$0")/../lab
. "$S/lab.sh"
. "$S/punch.sh"
lab_begin "$@"
RANDOM=${SEED:-1}
kinds=(port=preserve 'port=random mapping=address-port' 'port=sequential mapping=address-port' mapping=address)
declare -A first last
bad=0 rounds=0 connections=0

punch_net port=preserve filtering=address-port delay=5ms -- port=preserve filtering=address-port delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000\n[service bare]\nport = 9001\nencrypt = no'
punch_conf alice

server() { # PORT
	lab_bg bob "echo$1" punch python3 "$LAB_SRC/tests/lab/echo.py" "$1"
	punch_published bob "$1"
}

server_again() { # PORT
	lab_stop "echo$1"	# its status is that of the signal
	server "$1"
}

rendezvous_again() {
	lab_stop rendezvous
	lab_bg rdv rendezvous env PUNCH_LOG=info punch-rendezvous
	lab_wait_port rdv 4433
	punch_published bob 9000
}

nat() { # NAME: of another kind from now on
	# shellcheck disable=SC2086
	lab_set "$1" port=preserve mapping=endpoint ${kinds[RANDOM % ${#kinds[@]}]}
}

kill_resolver() { # HOST
	local pid
	pid=$(punch_status "$1" .pid)
	kill -9 "$pid"
	lab_wait 5 "! kill -0 $pid 2>/dev/null"
}

mishap() { # sets $what
	case $((RANDOM % 16)) in
	0) what='another NAT at alice' && nat natA ;;
	1) what='another NAT at bob' && nat natB ;;
	2) what="alice's resolver killed" && kill_resolver alice ;;
	3) what="bob's resolver killed" && kill_resolver bob && punch_published bob 9000 && punch_published bob 9001 ;;
	4) what='server program again' && server_again 9000 ;;
	5) what='rendezvous again' && rendezvous_again ;;
	6) what='killed while it dials' && lab_run alice timeout -s KILL 0.3 punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 30 30 >/dev/null 2>&1 ;;
	7) what="alice's resolver stopped" && lab_run alice punchctl stop >/dev/null ;;
	8) what='3 % loss' && lab_set natA loss=3% ;;
	9) what='no loss' && lab_set natA loss=0 ;;
	*) what=nothing ;;
	esac
}

round() {
	local count=$((1 + RANDOM % 30)) port=$((9000 + RANDOM % 2)) route=auto said
	[ $((RANDOM % 3)) != 0 ] || route=relay
	said=$(PUNCH_ROUTE=$route lab_run alice punch python3 "$LAB_SRC/tests/lab/many.py" bob $port $count $((1 + RANDOM % 10)) 2>>"$(lab_log many)")
	rounds=$((rounds + 1)) connections=$((connections + count))
	[ "${said%%;*}" = "$count served" ] && return
	bad=$((bad + 1))
	echo "round $rounds, after \"$what\", port $port, route $route: of $count $said"
}

# look NAME-OF-ARRAY: KiB of resident memory and descriptors, the most that one process of each name has
look() {
	local -n into=$1
	local name pid rss fds most files
	for name in punch-resolver punch-pump punch-keeper punch-rendezvou punch-relay; do
		most=0 files=0
		for pid in $(pgrep -x "$name"); do
			rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
			fds=$(find "/proc/$pid/fd" -mindepth 1 2>/dev/null | wc -l)
			[ "${rss:-0}" -le "$most" ] || most=$rss
			[ "$fds" -le "$files" ] || files=$fds
		done
		into[$name]="$most KiB, $files descriptors"
	done
}

server 9000
server 9001
what=nothing
for _ in 1 2 3 4 5 6; do
	round
done
look first
SECONDS=0
while [ $SECONDS -lt "${SOAK_SECONDS:-600}" ]; do
	mishap
	round
done
look last
printf '%d connections in %d rounds, %d s; rounds that were not whole: %d\n' $connections $rounds $SECONDS $bad
for name in "${!first[@]}"; do
	printf '%-16s at first %s, at last %s\n' "$name" "${first[$name]}" "${last[$name]}"
done | sort
[ $bad = 0 ]
