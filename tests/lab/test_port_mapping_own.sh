#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 90
# parallel: yes
#
# Two gateways that drop bare SYNs, so that no simultaneous open goes through: relayed; where one of them speaks NAT-PMP: direct.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net gateway filtering=synack delay=5ms -- gateway filtering=synack delay=5ms
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
hello() { echo hello | lab_run alice timeout 20 punch nc -N -w 15 bob 9000; }
again() { # the resolvers look at their gateways anew
	local host
	for host in alice bob; do lab_run $host punchctl stop >/dev/null 2>&1; done
	rm -rf "$LAB_DIR"/host/{alice,bob}/home/.local/state/punch
	lab_stop echo
	lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
	punch_published bob 9000
}

lab_expect_eq 'neither speaks it: bytes pass' "$(hello)" hello
lab_expect_eq 'neither speaks it: relayed' "$(punch_last_path alice)" relay
for box in natB natA; do
	lab_set natA pmp=off
	lab_set natB pmp=off
	lab_set $box pmp=on
	again
	lab_expect "$box speaks it: direct, once the mapping is known" \
		lab_poll 15 '[ "$(hello)" = hello ] && [ "$(punch_last_path alice)" = direct ]'
	lab_expect "$box: it was asked" grep -q '^.* grant proto 6 ' "$LAB_DIR/log/nat-$box.log"
done
