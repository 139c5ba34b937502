#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Direct through each pair of port-preserving NATs, near and far; set-up times in round trips. Probe ports that
# were not heard twice are asked again for the next connection.
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

# --- the probe ports are cut off while the next ports are made. Those two are no good, the ones after them are.
lab_set natA stray=drop delay=5ms
lab_set natB stray=drop delay=5ms
lab_run alice punchctl stop
told() { lab_run alice env PUNCH_LOG=debug PUNCH_LOG_FILE="$(lab_log alice-punch)" timeout 20 punch "$@"; }
call() { echo "$1" | told nc -N -w 10 bob 9000; }
made() { lab_wait 20 "[ \"\$(grep -cE 'ports: [0-9]+ is mapped to [0-9]' '$(lab_log alice-punch)')\" -ge $1 ]"; }
told getent hosts bob >/dev/null # starts the resolver
made 2
call first >/dev/null # takes both
made 4
lab_run alice nft -f - <<<'table ip cut { chain out { type filter hook output priority 0; tcp dport { 4431, 4432 } tcp flags & (syn | ack) == syn drop; }; }'
lab_expect_eq 'cut off: bytes pass' "$(call second)" second
lab_wait 20 "[ \"\$(grep -c 'no probe port answered' '$(lab_log alice-punch)')\" -ge 2 ]"
lab_run alice nft flush ruleset
lab_expect_eq 'no port was seen: bytes pass' "$(call third)" third
lab_expect_eq 'no port was seen: relayed' "$(punch_last_path alice)" relay
made 6
lab_expect_eq 'seen again: bytes pass' "$(call fourth)" fourth
lab_expect_eq 'seen again: direct' "$(punch_last_path alice)" direct
