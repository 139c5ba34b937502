#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Direct through each pair of port-preserving NATs, near and far; set-up times in round trips.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port stray=drop delay=5ms -- \
	port=preserve filtering=address-port stray=drop delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000

# cell NAME: one connection is made, and is direct
cell() {
	local out ms rtt=$2
	out=$(echo "$1" | lab_run alice timeout 20 punch nc -N -w 10 bob 9000)
	lab_expect_eq "$1: bytes pass" "$out" "$1"
	lab_expect_eq "$1: direct" "$(punch_last_path alice)" direct
	ms=$(punch_status alice '[.connections[] | select(.direction == "out")] | last | .setup_ms')
	lab_note "$1: set up in $ms ms, $(awk "BEGIN { printf \"%.1f\", $ms / $rtt }") round trips between the peers"
}

echo warm | lab_run alice timeout 20 punch nc -N -w 10 bob 9000 >/dev/null
for delay in 5 25 100; do
	for strays in 'drop drop' 'rst rst' 'drop rst' 'rst drop'; do
		read -r a b <<<"$strays"
		lab_set natA stray="$a" delay="${delay}ms"
		lab_set natB stray="$b" delay="${delay}ms"
		# The peers' one-way delay is the sum of both
		cell "stray SYN $a/$b, $((2 * delay)) ms one way" $((4 * delay))
	done
done
