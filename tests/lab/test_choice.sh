#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 100
# parallel: yes
#
# Between the two NATs packets take a detour of 60 ms each way; to the relay, which is near both, they do not.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net port=preserve filtering=address-port delay=5ms -- port=preserve filtering=address-port delay=5ms
lab_server detour 203.0.113.20 delay=30ms
lab_router detour
lab_do nsenter -t "${LAB_PID[detour]}" --net sh -c 'echo 0 | tee /proc/sys/net/ipv4/conf/*/send_redirects'
detour() { # add|del
	lab_ip inet rule "$1" from 198.51.100.1 to 198.51.100.2 iif natA lookup 100
	lab_ip inet rule "$1" from 198.51.100.2 to 198.51.100.1 iif natB lookup 100
}
lab_ip inet route add default dev detour table 100
detour add
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
hello() { echo "$1" | lab_run alice timeout 20 punch nc -N -w 15 bob 9000; }

lab_expect_eq 'a direct path that takes 140 ms, a relay of 20 ms: bytes pass' "$(hello one)" one
lab_expect_eq 'they went through the relay' "$(punch_last_path alice)" relay
steps=$(lab_run alice punchctl ping bob:9000 2>&1)
lab_expect_match 'punchctl ping says why' "$steps" 'direct path takes 1[3-9][0-9]\.[0-9] ms a round trip, the relayed one [1-9][0-9]\.'
lab_expect_eq 'route = direct is obeyed: bytes pass' "$(PUNCH_ROUTE=direct hello two)" two
lab_expect_eq 'directly' "$(punch_last_path alice)" direct
detour del
lab_expect_eq 'both ways alike: bytes pass' "$(hello three)" three
lab_expect_eq 'directly' "$(punch_last_path alice)" direct
# The contrary: the relay is far, the peers are near
lab_ip inet rule add from 203.0.113.10 iif rdv lookup 100
lab_expect_eq 'a far relay: bytes pass' "$(hello four)" four
lab_expect_eq 'directly' "$(punch_last_path alice)" direct
