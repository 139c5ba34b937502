#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 100
# parallel: yes
#
# Where the rendezvous is reached by IPv6, the IPv4 NATs are found out all the same, and so is a gateway that maps ports; where
# there is no IPv4 at all, nobody waits for it.
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
lab_nat nat3 198.51.100.3 gateway pmp=on delay=5ms
lab_host carol nat3 192.168.1.2 v6=2001:db8:c::2
lab_host dave inet 198.51.100.4 v6=2001:db8:d::2
lab_ip dave -4 addr flush dev eth0
lab_ip dave -4 route flush table main
PUNCH_PEERS='alice bob carol dave'
punch_servers
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
lab_bg bob echo punch socat TCP4-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000

# --- doctor, of those who connect to nobody
for host in carol dave; do
	punch_conf $host
	lab_bg $host doctor-$host punchctl doctor --json
done
lab_run alice punchctl doctor --json >"$LAB_DIR/doctor"
lab_expect_match 'the rendezvous is reached by IPv6' "$(jq -r '.rendezvous[0].server' "$LAB_DIR/doctor")" '^\[2001:db8:5::10\]'
lab_expect_eq 'the IPv4 NAT is seen' "$(jq -r .nat.mapping "$LAB_DIR/doctor")" endpoint-independent
lab_expect_eq 'IPv4: bytes pass' "$(echo hello | lab_run alice timeout 20 punch nc -4 -N -w 15 bob 9000)" hello
lab_expect_eq 'IPv4: direct' "$(punch_last_path alice)" direct
lab_expect_eq 'IPv4 by relay: bytes pass' \
	"$(echo hello | lab_run alice timeout 20 env PUNCH_ROUTE=relay punch nc -4 -N -w 15 bob 9000)" hello
lab_expect_eq 'IPv4 by relay: path' "$(punch_last_path alice)" relay
of() { jq -r "$2" "$(lab_log "doctor-$1")"; }
for host in carol dave; do wait "${LAB_BGPID[doctor-$host]}"; done
lab_expect_match 'carol: the rendezvous is reached by IPv6' "$(of carol '.rendezvous[0].server')" '^\[2001:db8:5::10\]'
lab_expect_eq 'carol: own address' "$(of carol .nat.address)" 198.51.100.3
lab_expect_eq 'carol: the gateway maps ports' "$(of carol .nat.port_mapping)" nat-pmp
lab_expect_eq 'carol: one NAT' "$(of carol .nat.nats)" 1
lab_expect_eq 'dave: no IPv4' "$(of dave '"\(.ipv4.route) \(.nat.address) \(.nat.mapping)"')" 'false null null'
lab_expect_match 'dave: in words' "$(of dave .verdict)" '^There is no IPv4 here'
lab_expect_eq 'dave: no firewall is blamed' "$(of dave '[.server_ports[] | select(.answers == false)] | length')" 0
ms=${EPOCHREALTIME/./}
lab_run dave punchctl doctor >"$LAB_DIR/dave"
ms=$(((${EPOCHREALTIME/./} - ms) / 1000))
lab_expect "dave: the next answer comes at once ($ms ms)" test $ms -lt 5000
lab_expect_match 'dave: for people' "$(cat "$LAB_DIR/dave")" 'IPv4          no'
