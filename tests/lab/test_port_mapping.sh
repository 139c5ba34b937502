#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 170
#
# A port that the gateway passes on, got from a real miniupnpd by PCP, NAT-PMP and UPnP: two NATs with
# random ports, which nothing else opens, are direct.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
. "$(dirname "$0")/gateway.sh"
lab_begin "$@"
[ -x /usr/sbin/miniupnpd ] || lab_skip 'no miniupnpd here'
lab_internet
lab_server rdv 203.0.113.10
punch_servers

# One far side for all: behind a NAT that gives a random port to each destination
lab_nat natB 198.51.100.2 mapping=address-port filtering=address-port port=random delay=10ms
lab_host bob natB 192.168.1.2
n=0

# site ALICE-EXTRA MINIUPNPD-SETTING...: a new alice behind a new gateway; $alice and $nat tell their names
site() {
	local extra=$1
	shift
	n=$((n + 1))
	alice=alice$n nat=natA$n
	lab_nat "$nat" "45.67.89.$n" kernel fully-random delay=10ms
	lab_host "$alice" "$nat" 192.168.1.2
	[ $# = 0 ] || gateway_real "$nat" "$@"
	PUNCH_PEERS="$alice bob"
	punch_conf "$alice" "$extra"
	sed -i 's/^name = .*/&\n'"${mapping:-}/" "$(punch_dir "$alice")/punch.conf"
}

# from ALICE: bob's word about the path, after bytes went there and back
from() {
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run "$alice" timeout 20 punch nc -N -w 10 bob 9000)" hello
	lab_expect_eq "$1: path" "$(punch_last_path "$alice")" "$2"
}

mapped() { [ -n "$(gateway_chains "$nat" | grep dnat)" ]; }
unmapped() { ! mapped; }

# bob must know all callers beforehand
for i in 1 2 3 4; do
	PUNCH_PEERS="$PUNCH_PEERS alice$i"
	mkdir -p "$LAB_DIR/host/alice$i/home"
	dir=$(punch_dir "alice$i")
	mkdir -p "$dir"
	punchctl keygen "$dir/node.key" >"$dir/node.pub" 2>/dev/null || "$LAB_BUILD/punchctl" keygen "$dir/node.key" >"$dir/node.pub"
	peers+=$'\n'"[peer alice$i]"$'\n'"key = $(cat "$dir/node.pub")"
done
PUNCH_PEERS=bob
punch_conf bob "$peers"$'\n[service echo]\nport = 9000'
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000

for protocol in pcp nat-pmp upnp; do
	case $protocol in
	upnp) settings=(enable_upnp=yes enable_natpmp=no) ;;
	*) settings=(enable_upnp=no enable_natpmp=yes) ;;
	esac
	mapping="port-mapping = $protocol" site '' "${settings[@]}"
	lab_run "$alice" punchctl doctor --json >"$LAB_DIR/doctor"
	lab_wait 10 mapped
	lab_expect "$protocol: the mapper is confined" punch_confined "$alice" punch-mapper
	lab_expect "$protocol: the mapper has no secret in its environment" punch_bare "$alice" punch-mapper
	lab_expect_eq "$protocol: doctor" "$(lab_run "$alice" punchctl doctor --json | jq -r .nat.port_mapping)" "$protocol"
	from "$protocol" direct
	lab_run "$alice" punchctl stop
	lab_expect "$protocol: ended when the resolver leaves" lab_poll 10 unmapped
done

# --- and without it nothing opens these two
mapping='port-mapping = no' site '' enable_upnp=yes enable_natpmp=yes
from 'port-mapping = no' relay
lab_expect 'port-mapping = no: the gateway was not asked' unmapped
