#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# What may go wrong between hosts: servers that die, firewalls, a network that goes and comes back
# or changes its address.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port delay=5ms -- port=preserve filtering=address-port delay=5ms
lab_nat natC 198.51.100.3 kernel delay=5ms
lab_host carol natC 192.168.1.2
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
punch_conf carol
lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
punch_published bob 9000

many() { # HOST TOTAL AT-ONCE
	local host=$1
	shift
	lab_run "$host" punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 "$@" 2>>"$(lab_log many)"
}
hello() { echo hello | lab_run "${1:-alice}" timeout 20 punch nc -N -w 15 bob 9000 2>>"$(lab_log many)"; }
ready() { [ "$(punch_status "$1" '.rendezvous[0].state')" = ready ]; }
nft_on() { # HOST input|output MATCH: drop such packets there
	lab_do nsenter -t "${LAB_PID[$1]}" --net nft "add table ip fw; add chain ip fw $2 {
		type filter hook $2 priority 0; }; add rule ip fw $2 $3 drop"
}
nft_off() { lab_do nsenter -t "${LAB_PID[$1]}" --net nft flush ruleset; }

# --- the rendezvous is killed and comes back while dials are under way
lab_set natA delay=100ms
many alice 20 20 >"$LAB_DIR/many" &
pid=$!
lab_wait 10 "[ \"\$(punch_status bob .sessions)\" -gt 0 ]"	# invitations are under way
lab_kill rendezvous KILL
wait "${LAB_BGPID[rendezvous]}" 2>/dev/null
punch_servers
lab_wait 30 "! kill -0 $pid 2>/dev/null"
lab_expect_match 'the rendezvous is killed and comes back during 20 dials' "$(cat "$LAB_DIR/many")" '^20 served;'
lab_set natA delay=5ms

lab_kill rendezvous KILL
wait "${LAB_BGPID[rendezvous]}" 2>/dev/null
lab_expect_match 'it stays away: ENETUNREACH' "$(many alice 5 5)" '^0 served, 5 ENETUNREACH; in [0-9]\.'
punch_servers
lab_expect_match 'and is back: no dial fails while its nodes find it again' "$(many alice 5 5)" '^5 served;'

# --- the relay dies in the midst of a transfer
lab_run bob sh -c "cat >'$LAB_DIR/drip.py'" <<'PYTHON'
import socket, sys, time
s = socket.create_connection(("bob", 9000), 15)
s.settimeout(20)
s.sendall(b"x" * 1000)
assert len(s.recv(1000, socket.MSG_WAITALL)) == 1000
print("flows", flush=True)
try:
    while s.recv(65536):
        pass
    print("end")
except ConnectionResetError:
    print("reset")
PYTHON
PUNCH_ROUTE=relay lab_bg alice drip punch python3 "$LAB_DIR/drip.py"
lab_wait_log drip flows
pkill -9 -x punch-relay
lab_expect 'the relay is killed: the program sees it' lab_poll 5 "grep -qE 'end|reset' '$(lab_log drip)'"
lab_wait_port rdv 4433
lab_expect_eq 'a relayed connection works again' "$(PUNCH_ROUTE=relay hello)" hello

# --- firewalls
nft_on rdv input 'tcp dport 4433'
lab_expect_eq 'the relay cannot be reached: direct' "$(hello) $(punch_last_path alice)" 'hello direct'
nft_off rdv
nft_on alice input 'ip saddr 198.51.100.0/24'
lab_expect_eq 'the peer cannot be reached: relayed' "$(hello) $(punch_last_path alice)" 'hello relay'
nft_on rdv input 'tcp dport 4433'
lab_expect_match 'neither can be reached: ETIMEDOUT, in time' "$(PUNCH_TIMEOUT=6 many alice 2 2)" '^0 served, 2 ETIMEDOUT; in 6\.'
nft_off rdv
nft_off alice
nft_on alice input 'tcp sport 4431-4432'
lab_run alice punchctl stop
lab_expect_eq 'the probe ports cannot be reached: relayed' "$(hello) $(punch_last_path alice)" 'hello relay'
nft_off alice

# --- the network goes, comes back, and changes
lab_expect_eq 'carol, before' "$(hello carol)" hello
lab_ip carol link set eth0 down
lab_expect_match 'without a network: ENETUNREACH' "$(many carol 2 2)" '^0 served, 2 ENETUNREACH; in [0-9]\.'
lab_ip carol link set eth0 up
lab_ip carol route add default via 192.168.1.1 dev eth0 onlink
lab_expect_eq 'it is back: so is she' "$(hello carol) $(punch_last_path carol)" 'hello direct'
lab_ip carol addr del 192.168.1.2/24 dev eth0
lab_ip carol addr add 192.168.1.77/24 dev eth0
lab_ip carol route replace default via 192.168.1.1 dev eth0 onlink
lab_expect_eq 'another address: the next dial works' "$(hello carol)" hello
lab_expect 'another address: direct again' lab_poll 30 '[ "$(hello carol) $(punch_last_path carol)" = "hello direct" ]'
lab_nat_flush natA
lab_expect_eq 'our own NAT was switched off and on' "$(hello)" hello
lab_nat_flush natB
# bob learns of it by his next keepalive, after 25 s at most
lab_expect "the peer's NAT was switched off and on: reached again" lab_poll 60 '[ "$(hello)" = hello ]'
