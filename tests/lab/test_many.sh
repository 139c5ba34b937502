#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# Many connections, at once and one after the other: none is lost, nothing is left behind.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port delay=1ms -- port=preserve filtering=address-port delay=1ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
punch_published bob 9000

many() { lab_run alice punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 "$@" 2>>"$(lab_log many)"; }

many_node() { lab_run alice punch node "$LAB_SRC/tests/lab/many.js" bob 9000 "$1" 2>>"$(lab_log many)"; }

# paths: how alice's newest connections went
paths() { punch_status alice '[.connections[].path] | unique | join(" ")'; }

# descriptors: what each process of punch has open
pids() {
	echo "$(punch_status alice .pid) $(punch_status bob .pid) $(pgrep -x punch-rendezvou | head -n 1) $(pgrep -x punch-relay | head -n 1)"
}
descriptors() {
	local pid out=''
	for pid in $(pids); do
		out+=" $(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
	done
	echo "$out"
}
# Ports are kept ready, a doorbell or a ticket may linger for seconds: at most that many more than before
back_to_level() { # BEFORE
	local now before i
	read -ra before <<<"$1"
	read -ra now <<<"$(descriptors)"
	for i in "${!before[@]}"; do
		[ "${now[$i]}" -le $((before[i] + 4)) ] || return 1
	done
}
kilobytes() { # of resident memory, all together
	local pid sum=0
	for pid in $(pids); do
		sum=$((sum + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
	done
	echo "$sum"
}

lab_expect_match 'one, to warm up' "$(many 1 1)" '^1 served;'
lab_wait 10 "[ \"\$(punch_status alice '.rendezvous[0].state')\" = ready ]"
level=$(descriptors)

# --- at once
out=$(many 200 200)
lab_expect_match "200 at once ($out)" "$out" '^200 served;'
lab_expect_eq '200 at once: direct' "$(paths)" direct
lab_expect 'no descriptor is left behind' lab_poll 15 "back_to_level '$level'"
out=$(many 150 150 threads)
lab_expect_match "150 threads, each in a connect() that blocks ($out)" "$out" '^150 served;'
lab_expect_eq '100 at once, node' "$(many_node 100)" '100 served'
lab_run alice punchctl stop
out=$(PUNCH_ROUTE=relay many 200 200)
lab_expect_match "200 at once, relayed ($out)" "$out" '^200 served;'
lab_expect_eq '200 at once, relayed: path' "$(paths)" relay
lab_expect_eq '100 at once, node, relayed' "$(PUNCH_ROUTE=relay many_node 100)" '100 served'

# --- one after the other
memory=$(kilobytes)
out=$(many 1000 1)
lab_expect_match "1,000 in sequence ($out)" "$out" '^1000 served;'
grown=$(($(kilobytes) - memory))
lab_expect "memory does not grow with them ($grown KiB)" [ "$grown" -lt 3000 ]
lab_expect 'no descriptor is left behind by any process' lab_poll 15 "back_to_level '$level'"
lab_note "descriptors of alice, bob, rendezvous, relay: before $level, after $(descriptors)"
