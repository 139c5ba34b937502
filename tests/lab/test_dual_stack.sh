#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 100
# parallel: yes
#
# Where the rendezvous is reached by IPv6, the IPv4 NATs are found out all the same.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10 v6=2001:db8:5::10
printf '2001:db8:5::10 rdv\n' >>"$LAB_DIR/hosts"
for side in 1 2; do
	lab_nat "nat$side" "198.51.100.$side" filtering=address-port delay=5ms
done
lab_host alice nat1 192.168.1.2 v6=2001:db8:a::2
lab_host bob nat2 192.168.1.2 v6=2001:db8:b::2
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP4-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
lab_run alice punchctl doctor --json >"$LAB_DIR/doctor"
lab_expect_match 'the rendezvous is reached by IPv6' "$(jq -r '.rendezvous[0].server' "$LAB_DIR/doctor")" '^\[2001:db8:5::10\]'
lab_expect_eq 'the IPv4 NAT is seen' "$(jq -r .nat.mapping "$LAB_DIR/doctor")" endpoint-independent
lab_expect_eq 'IPv4: bytes pass' "$(echo hello | lab_run alice timeout 20 punch nc -4 -N -w 15 bob 9000)" hello
lab_expect_eq 'IPv4: direct' "$(punch_last_path alice)" direct
lab_expect_eq 'IPv4 by relay: bytes pass' \
	"$(echo hello | lab_run alice timeout 20 env PUNCH_ROUTE=relay punch nc -4 -N -w 15 bob 9000)" hello
lab_expect_eq 'IPv4 by relay: path' "$(punch_last_path alice)" relay
