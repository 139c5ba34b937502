#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# demo.sh - the main job, step by step: ssh and rsync between two hosts behind NATs
#
# Everything happens in namespaces that vanish with this script. First through NATs that can be
# opened, then through NATs that cannot, where a relayed socket is swapped in.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' GREEN=$'\e[32m' RED=$'\e[31m' CYAN=$'\e[36m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' GREEN='' RED='' CYAN='' PLAIN=''
fi
DEMO_START=${DEMO_START:-$EPOCHREALTIME}
export DEMO_START

lab_begin "$@"
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || { echo 'The demo runs a real sshd, which wants root: sudo make demo'; exit 1; }

clock() { awk "BEGIN { printf \"%5.1f s\", $EPOCHREALTIME - $DEMO_START }"; }
say() { printf '%s%s%s  %s\n' "$DIM" "$(clock)" "$PLAIN" "$*"; }
title() { printf '\n%s%s%s\n' "$BOLD$CYAN" "$*" "$PLAIN"; }
DEMO_BAD=0
# step DESCRIPTION COMMAND...: show the command, run it, tell how it went and how long it took
step() {
	local what=$1 start=$EPOCHREALTIME out status
	shift
	out=$("$@" 2>&1)
	status=$?
	if [ "$status" = 0 ]; then
		say "${GREEN}ok${PLAIN}  $what ${DIM}($(awk "BEGIN { printf \"%.2f\", $EPOCHREALTIME - $start }") s)${PLAIN}"
	else
		say "${RED}FAILED${PLAIN}  $what"
		DEMO_BAD=1
	fi
	[ -z "$out" ] || printf '%s\n' "$out" | sed "s/^/              /"
	return "$status"
}

on_alice() { lab_run alice punch "$@"; }
path() {
	local set_up
	set_up=$(punch_status alice '[.connections[] | select(.direction == "out")] | last | "\(.path) path to \(.remote), set up in \(.setup_ms) ms"')
	say "    ${BOLD}$set_up${PLAIN}"
}
want() { # PATH: the last connection must have taken it
	[ "$(punch_last_path alice)" = "$1" ] && return
	say "${RED}FAILED${PLAIN}  the path should be: $1"
	DEMO_BAD=1
}
work() {
	step "alice\$ punch ssh bob uptime -p" on_alice ssh "${PUNCH_SSH[@]}" bob uptime -p
	path
	rm -rf "$LAB_DIR/copy"
	step "alice\$ punch rsync -a big/ bob:big/    (100 MB)" on_alice rsync -a -e "ssh ${PUNCH_SSH[*]} -c aes128-gcm@openssh.com" "$LAB_DIR/big/" "bob:$LAB_DIR/copy/"
	path
	step "both sides have the same checksum" cmp "$LAB_DIR/big/data" "$LAB_DIR/copy/data"
}

title 'The lab: alice and bob, each behind a NAT, and a public server between them'
cat <<'PICTURE'

     alice 192.168.1.2                                      bob 192.168.1.2
          |                                                      |
     NAT A 198.51.100.1 ---------- the Internet ---------- NAT B 198.51.100.2
                                        |
                         rdv 203.0.113.10: punch-rendezvous

PICTURE
LAB_MTU=9000
punch_net port=preserve filtering=address-port stray=drop delay=10ms -- \
	port=preserve filtering=address-port stray=rst delay=10ms
say 'two NATs: 20 ms one way between the hosts, stray SYNs dropped by A and reset by B'
punch_servers
say "rdv\$ punch-rendezvous            key $PUNCH_SERVER_KEY"
punch_conf bob $'[service ssh]\nport = 22'
punch_conf alice
punch_sshd bob
say 'bob$ punch /usr/sbin/sshd -D'
step 'bob is published at the rendezvous' punch_published bob 22
mkdir -p "$LAB_DIR/big" && head -c 100M /dev/urandom >"$LAB_DIR/big/data"

title 'Direct: both NATs are opened, nothing of punch is in the path'
work
want direct
lab_bg alice session punch ssh "${PUNCH_SSH[@]}" bob cat
lab_poll 10 'lab_run bob ss -Htnp state established dst 198.51.100.1 | grep -q sshd'
say "bob\$ ss -tn    ${DIM}the kernel's own view: a socket straight to alice's public address${PLAIN}"
lab_run bob ss -Htn state established dst 198.51.100.1 | head -n 2 | sed 's/^/              /'
lab_kill session

title 'Relayed: NATs that give a new random port to each destination cannot be opened'
lab_set natA mapping=address-port port=random
lab_set natB mapping=address-port port=random
lab_run alice punchctl stop
lab_run bob punchctl stop
lab_poll 10 '! lab_run bob punchctl status >/dev/null 2>&1'
lab_stop sshd
punch_sshd bob
punch_published bob 22
say 'NATs changed: random ports for each destination; both hosts started anew'
work
want relay

title 'Done'
if [ "$DEMO_BAD" = 0 ]; then
	say "${GREEN}everything worked${PLAIN}; the lab is gone when this line is printed"
else
	say "${RED}something failed${PLAIN}: the logs are above, or set LAB_KEEP=FOLDER to have them copied"
	lab_dump
fi
exit "$DEMO_BAD"
