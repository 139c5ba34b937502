#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# Lost packets: 5 % and 10 % on the wire of each NAT, each way, so that a packet between the
# peers is lost with 10 % and 19 %. Every connection is made within PUNCH_TIMEOUT.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port delay=10ms offload=off -- \
	port=preserve filtering=address-port delay=10ms offload=off seed=2
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
punch_published bob 9000

many() { lab_run alice punch python3 "$LAB_SRC/tests/lab/many.py" bob 9000 "$@" 2>>"$(lab_log many)"; }
new_paths() { punch_status alice "[.connections[$1:][] | \"\\(.path) \\(.setup_ms | tonumber | round)\"] | sort | join(\", \")"; }
many 1 1 >/dev/null
for strays in 'drop drop' 'rst rst'; do
	read -r a b <<<"$strays"
	for loss in 5 10; do
		lab_set natA "loss=$loss%" stray="$a"
		lab_set natB "loss=$loss%" stray="$b"
		before=$(punch_status alice '.connections | length')
		out=$(many 20 4)
		lab_expect_match "$loss % lost, stray SYN $a/$b ($out)" "$out" '^20 served;'
		paths=$(new_paths "$before")
		lab_note "$(grep -o direct <<<"$paths" | wc -l) of 20 direct; path and set-up in ms: $paths"
	done
done
