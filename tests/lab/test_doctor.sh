#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# parallel: yes
# timeout: 170
#
# punchctl doctor tells each kind of NAT for what it is: ours, of every kind, and the kernel's.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
lab_ip rdv addr add 203.0.113.11/32 dev eth0
lab_ip inet route add 203.0.113.11/32 dev rdv
printf '[rendezvous]\nprobe = 203.0.113.10:4431 203.0.113.11:4432\n' >"$LAB_DIR/rdv.conf"
punch_servers "$LAB_DIR/rdv.conf"

# doctor NAME WANTED: of host$n
doctor() {
	names[n]=$1 wants[n]=$2
	PUNCH_PEERS="host$n"
	punch_conf "host$n"
	lab_bg "host$n" "doctor$n" punchctl doctor --json
}

# kind NAME WANTED NAT-OPTION...: a doctor behind such a NAT; WANTED: mapping filtering stray rule hairpin
n=0
kind() {
	local name=$1 want=$2
	shift 2
	n=$((n + 1))
	lab_nat "nat$n" "198.51.100.$n" "$@"
	lab_host "host$n" "nat$n" 192.168.1.2
	doctor "$name" "$want"
}
I=endpoint-independent A=address-dependent AP=address-and-port-dependent
kind 'drops what it does not know' "$I $AP drop preserved false" mapping=endpoint filtering=address-port stray=drop
kind 'resets what it does not know' "$I $AP rst preserved false" mapping=endpoint filtering=address-port stray=rst
kind 'answers by ICMP' "$I $AP icmp preserved false" mapping=endpoint filtering=address-port stray=icmp
kind 'filters by address' "$I $A drop preserved false" mapping=endpoint filtering=address stray=drop
kind 'lets everybody in' "$I $I null preserved true" mapping=endpoint filtering=none hairpin=on
kind 'lets no SYN in' "$I syn-ack-only drop preserved false" mapping=endpoint filtering=synack stray=drop
kind 'changes ports' "$I $AP drop stable false" mapping=endpoint filtering=address-port stray=drop port=offset
kind 'random ports' "$AP $AP drop random false" mapping=address-port filtering=address-port stray=drop port=random
kind 'random ports, but for the parity' "$AP $AP drop parity false" mapping=address-port filtering=address-port stray=drop port=parity
kind 'counts' "$AP $AP drop sequential false" mapping=address-port filtering=address-port stray=drop port=sequential
counting=host$n
kind 'gives out of a block' "$AP $AP drop block false" mapping=address-port filtering=address-port stray=drop port=block:64
kind 'kernel, drops' "$I $AP drop preserved false" kernel stray=drop
kind 'kernel, resets' "$I $AP rst preserved false" kernel stray=rst
kind 'kernel, random ports' "$AP $AP drop random false" kernel fully-random
kind 'forgets after 12 s' "$I $AP drop preserved false" mapping=endpoint filtering=address-port stray=drop established=12s
forgetful=host$n

# Without a NAT, behind a firewall of its own and behind none
for wall in drop none; do
	n=$((n + 1))
	lab_host "host$n" inet "198.51.100.$n"
	case $wall in
	none) doctor 'no NAT' "none $I null preserved true" ;;
	drop)
		lab_run "host$n" nft -f - <<-'NFT'
			table ip wall { chain in { type filter hook input priority 0; policy drop;
				iif lo accept; ct state established,related accept; }; }
		NFT
		doctor 'a firewall, no NAT' "none $AP drop preserved true"
		;;
	esac
done
for i in "${!names[@]}"; do
	wait "${LAB_BGPID[doctor$i]}"
	lab_expect_eq "${names[i]}" "$(jq -r '.nat | "\(.mapping) \(.filtering) \(.stray_syn) \(.port_rule) \(.hairpin)"' \
		"$(lab_log "doctor$i")")" "${wants[i]}"
done

# The figures of the port rules: where the next port lies, and where the one of the rendezvous does
numbers() {
	jq -r '[.nat.port_low, .nat.port_high, .nat.port_step, .nat.port_pace_per_s, .rendezvous[0].observed] |
		map(. // "-") | join(" ")' "$1"
}
for i in "${!names[@]}"; do
	read -r low high step pace observed <<<"$(numbers "$(lab_log "doctor$i")")"
	port=${observed##*:}
	case ${names[i]} in
	counts)
		lab_expect "counts: from $low on, after $port" test "$low" -gt "$port" -a "$low" -lt $((port + 64))
		lab_expect_eq 'counts: in 64 ports, by 1, without others' "$((high - low + 1)) $step $pace" '64 1 0'
		;;
	'gives out of a block')
		lab_expect "block: $port in $low-$high" test "$low" -le "$port" -a "$port" -le "$high"
		lab_expect_eq 'block: of 64' $((high - low + 1)) 64
		;;
	'drops what it does not know') lab_expect_eq 'preserved: no figures' "$low $high $step $pace" '- - - -' ;;
	esac
done
lab_expect_match 'for people' "$(lab_run "$counting" punchctl doctor)" \
	'NAT ports +sequential: each connection gets the number 1 after the last one, the next lies in [0-9]+-[0-9]+; others take about 0\.0 a second'

# A connection that was silent for 8 s is remembered there, one of 16 s is not
lifetime() { lab_run "$forgetful" punchctl doctor --json | jq -r .nat.lifetime_s; }
lab_poll 60 '[ "$(lifetime)" != null ]'
lab_expect_eq 'the lifetime of an idle mapping' "$(lifetime)" 8
lab_expect_eq 'one NAT' "$(lab_run "$forgetful" punchctl doctor --json | jq -r .nat.nats)" 1

# --- what was found out here is known at once the next time, before anything is measured
lab_run "$forgetful" punchctl stop
export PUNCH_LOG=debug PUNCH_LOG_FILE=$LAB_DIR/log/again.log
lab_run "$forgetful" punchctl doctor --json >"$LAB_DIR/again"
lab_expect 'the network is recognised' grep -q 'this network is known: filtering 3, stray SYN 1, lifetime 8 s, hops 1' \
	"$PUNCH_LOG_FILE"
lab_expect_eq 'and its facts are told' "$(jq -r .nat.lifetime_s "$LAB_DIR/again")" 8
