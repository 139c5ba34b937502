#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# parallel: yes
# timeout: 100
#
# punchctl doctor tells whether inbound IPv6 connections get in: behind firewalls of several kinds, behind none, and that it
# does not know where nobody can find out.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
. "$(dirname "$0")/gateway.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10 v6=2a02:db8:5::10
lab_ip rdv addr add 2a02:db8:5::11/128 dev eth0 nodad
lab_ip inet -6 route add 2a02:db8:5::11/128 dev rdv
printf '2a02:db8:5::10 rdv\n' >>"$LAB_DIR/hosts"
printf '[rendezvous]\nprobe = 203.0.113.10:4431 203.0.113.10:4432 [2a02:db8:5::10]:4431 [2a02:db8:5::11]:4432\n' >"$LAB_DIR/rdv.conf"
punch_servers "$LAB_DIR/rdv.conf"
lab_server rdv4 203.0.113.20
lab_bg rdv4 rdv4 punch-rendezvous
lab_wait_port rdv4 4432

# doctor NAME WANTED: of host$n; filtering stray_syn
doctor() {
	names[n]=$1 wants[n]=$2
	PUNCH_PEERS="host$n"
	punch_conf "host$n"
	[ "${3:-}" = '' ] || sed -i "/^rendezvous-key/d; s/^rendezvous = .*/rendezvous = $3/" "$(punch_dir "host$n")/punch.conf"
	lab_bg "host$n" "doctor$n" punchctl doctor --json
}
n=0
behind() { # NAME WANTED NAT-OPTION...
	local name=$1 want=$2
	shift 2
	n=$((n + 1))
	lab_nat "nat$n" "198.51.100.$n" delay=5ms "$@"
	lab_host "host$n" "nat$n" 192.168.1.2 "v6=2a02:db8:a$n::2"
	doctor "$name" "$want" "${server:-}"
}
I=endpoint-independent A=address-dependent AP=address-and-port-dependent
behind 'a firewall that drops' "$AP drop" filtering=address-port stray=drop
behind 'a firewall that resets' "$AP rst" filtering=address-port stray=rst
behind 'a firewall that answers by ICMP' "$AP icmp" filtering=address-port stray=icmp-admin
behind 'a firewall that looks at addresses' "$A drop" filtering=address stray=drop
behind 'no firewall' "$I null" filtering=none
server=rdv4 behind 'a rendezvous without IPv6' 'null null' filtering=none

# The kernel's firewall of a gateway, and the host's own
n=$((n + 1))
lab_nat "nat$n" "198.51.100.$n" kernel
lab_host "host$n" "nat$n" 192.168.1.2
gateway_ipv6 "nat$n" "2a02:db8:a$n" "host$n"
doctor 'a gateway that lets no SYN in' "$AP drop"
n=$((n + 1))
lab_host "host$n" inet "198.51.100.$n" "v6=2a02:db8:a$n::2"
lab_run "host$n" nft 'table ip6 wall { chain in { type filter hook input priority 0;
	ct state established,related accept; meta l4proto tcp reject with tcp reset; }; }'
doctor 'the host itself resets' "$AP rst"
n=$((n + 1))
lab_host "host$n" inet "198.51.100.$n"
doctor 'no IPv6' 'null null'

for i in "${!names[@]}"; do
	wait "${LAB_BGPID[doctor$i]}"
	lab_expect_eq "${names[i]}" "$(jq -r '.ipv6 | "\(.filtering) \(.stray_syn)"' "$(lab_log "doctor$i")")" "${wants[i]}"
done
lab_expect_match 'in words' "$(lab_run host1 punchctl doctor)" 'IPv6 inbound  filtered, dropped'
lab_expect_match 'and where it is not known' "$(lab_run host6 punchctl doctor)" 'IPv6 inbound  not measured'
