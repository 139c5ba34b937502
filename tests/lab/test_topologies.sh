#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Hosts behind two NATs, behind one NAT without a LAN between them, behind different kinds of NAT:
# a connection is made in each case, direct where that can be.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
punch_servers

# pair A B: two hosts that know each other; A calls, B serves
pair() {
	local host
	PUNCH_PEERS="$1 $2"
	for host in "$@"; do
		punch_conf "$host" $'[service echo]\nport = 9000'
		[ -n "${LAB_BGPID[echo-$host]:-}" ] ||
			lab_bg "$host" "echo-$host" punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
	done
	for host in "$@"; do
		punch_published "$host" 9000
	done
}
# call NAME FROM TO WANTED-PATH WANTED-REMOTE: twice, for the second one finds what is known by then
call() {
	local name=$1 from=$2 to=$3 path=$4 remote=$5 try
	for try in first again; do
		lab_expect_eq "$name, $try: bytes pass" \
			"$(echo hello | lab_run "$from" timeout 20 punch nc -N -w 15 "$to" 9000 2>&1)" hello
	done
	lab_expect_eq "$name: path" "$(punch_last_path "$from")" "$path"
	lab_expect_match "$name: address" "$(punch_remote "$from")" "$remote"
	lab_note "$name: set up in $(punch_status "$from" '.connections[-1].setup_ms') ms"
}

# --- a home NAT behind a carrier's, on both sides; on one
lab_nat carrier1 198.51.100.1 inside=100.64.0.1 delay=10ms
lab_nat home1 100.64.0.2 via=carrier1
lab_host double1 home1 192.168.1.2
lab_nat carrier2 198.51.100.2 inside=100.64.0.1 delay=10ms stray=rst
lab_nat home2 100.64.0.2 via=carrier2
lab_host double2 home2 192.168.1.2
pair double1 double2
call 'two NATs on each side' double1 double2 direct '^198\.51\.100\.2:'
lab_nat natS 198.51.100.3 delay=10ms
lab_host single natS 192.168.1.2
pair single double1
PUNCH_PEERS='single double1 double2'
call 'one NAT to two' single double1 direct '^198\.51\.100\.1:'
call 'two NATs to one' double1 single direct '^198\.51\.100\.3:'

# --- two homes of one carrier: the addresses that they see of each other are the same
lab_nat carrier3 198.51.100.4 inside=100.64.0.1 delay=10ms hairpin=off
lab_nat home3 100.64.0.2 via=carrier3
lab_nat home4 100.64.0.3 via=carrier3
lab_host neighbour1 home3 192.168.1.2
lab_host neighbour2 home4 192.168.1.2
pair neighbour1 neighbour2
call 'two homes of one carrier, the same private address, no hairpin' neighbour1 neighbour2 relay '^203\.0\.113\.10:'
lab_set carrier3 hairpin=on
call 'two homes of one carrier, hairpin' neighbour1 neighbour2 direct '^198\.51\.100\.4:'

# --- two hosts behind one NAT that cannot see each other
lab_nat natH 198.51.100.5 delay=10ms hairpin=off
lab_host room1 natH 192.168.1.2
lab_host room2 natH 192.168.1.3
pair room1 room2
call 'one NAT, no LAN, no hairpin' room1 room2 relay '^203\.0\.113\.10:'
lab_set natH hairpin=on
call 'one NAT, no LAN, hairpin' room1 room2 direct '^198\.51\.100\.5:'

# --- a NAT that gives another port to each destination against one that filters by address only
lab_nat natX 198.51.100.6 mapping=address-port port=random delay=10ms
lab_nat natY 198.51.100.7 filtering=address delay=10ms
lab_host odd natX 192.168.1.2
lab_host even natY 192.168.1.2
pair odd even
call 'random ports to filtering by address' odd even direct '^198\.51\.100\.7:'
call 'filtering by address to random ports' even odd direct '^198\.51\.100\.6:'
# --- ... against one that lets in nothing but answers: held ports are guessed
lab_nat natZ 198.51.100.8 filtering=synack delay=10ms
lab_host shut natZ 192.168.1.2
pair odd shut
call 'random ports to "answers only"' odd shut direct '^198\.51\.100\.8:'
pair single shut
call 'ordinary to "answers only"' single shut direct '^198\.51\.100\.8:'
