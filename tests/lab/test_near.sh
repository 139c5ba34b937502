#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# No NAT at all; one NAT only; both hosts on one LAN; the same private address on two LANs.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
lab_nat natA 198.51.100.1 port=preserve filtering=address-port delay=10ms
lab_host alice natA 192.168.1.2
lab_host bob natA 192.168.1.3
lab_lan lan1 alice bob
lab_host carol inet 203.0.113.30
lab_host dave inet 203.0.113.31
PUNCH_PEERS='alice bob carol dave'
punch_servers
for host in alice bob carol dave; do
	punch_conf "$host" $'[service echo]\nport = 9000'
	lab_bg "$host" "echo-$host" punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
done
for host in alice bob carol dave; do
	punch_published "$host" 9000
done

try() { # FROM TO WANTED-PATH WANTED-REMOTE
	lab_expect_eq "$1 to $2: bytes pass" "$(echo hello | lab_run "$1" timeout 20 punch nc -N -w 10 "$2" 9000)" hello
	lab_expect_eq "$1 to $2: $3" "$(punch_last_path "$1")" "$3"
	lab_expect_match "$1 to $2: address" "$(punch_remote "$1")" "$4"
}
try alice bob lan '^192\.168\.1\.3:'
try bob alice lan '^192\.168\.1\.2:'
try carol dave direct '^203\.0\.113\.31:'
try alice carol direct '^203\.0\.113\.30:'
try carol alice direct '^198\.51\.100\.1:'
