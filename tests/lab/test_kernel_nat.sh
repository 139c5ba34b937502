#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# The same through the kernel's own NAT (nftables masquerade) and through the lab's: every kind that the kernel
# has, and both must come to one verdict.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
n=0
punch_servers

# side WHO KIND WORDS...: a host behind a NAT of that kind; WORDS: drop|rst, random|fully-random, double
side() {
	local who=$1 kind=$2 word options=() home=() double=
	shift 2
	n=$((n + 1))
	for word in "$@"; do
		case $kind-$word in
		*-drop | *-rst) options+=(stray="$word") home+=(stray="$word") ;;
		*-double) double=1 ;;
		kernel-*) options+=("$word") ;;
		own-*) options+=(mapping=address-port port=random seed=$n) ;;
		esac
	done
	[ "$kind" = own ] || { options+=(kernel) && home+=(kernel); }
	if [ -n "$double" ]; then
		lab_nat "nat-$who" "198.51.100.$n" inside=100.64.0.1 delay=10ms "${options[@]}"
		lab_nat "home-$who" 100.64.0.2 via="nat-$who" "${home[@]}"
		lab_host "$who" "home-$who" 192.168.1.2
	else
		lab_nat "nat-$who" "198.51.100.$n" delay=10ms "${options[@]}"
		lab_host "$who" "nat-$who" 192.168.1.2
	fi
}

# pair WANTED KIND A-WORDS -- B-WORDS
pair() {
	local wanted=$1 kind=$2 a=() b=() name
	shift 2
	while [ "$1" != -- ]; do
		a+=("$1")
		shift
	done
	shift
	b=("$@")
	name="$kind, ${a[*]} - ${b[*]}"
	side "alice$n" "$kind" "${a[@]}"
	PUNCH_PEERS="alice$((n - 1)) bob$n"
	side "bob$n" "$kind" "${b[@]}"
	set -- $PUNCH_PEERS
	punch_conf "$2" $'[service ssh]\nport = 22'
	punch_conf "$1"
	lab_bg "$2" "echo-$2" punch socat -t 20 TCP-LISTEN:22,fork,reuseaddr EXEC:cat
	punch_published "$2" 22
	lab_expect_eq "$name: bytes pass" "$(echo hello | lab_run "$1" timeout 20 punch nc -N -w 10 "$2" 22)" hello
	lab_expect_eq "$name: $wanted" "$(punch_last_path "$1")" "$wanted"
	lab_run "$1" punchctl stop >/dev/null 2>&1
	lab_stop "echo-$2"
	lab_run "$2" punchctl stop >/dev/null 2>&1
}
for kind in kernel own; do
	pair direct $kind drop -- drop
	pair direct $kind rst -- rst
	pair direct $kind drop -- rst
	pair direct $kind random -- drop
	pair direct $kind rst -- random
	pair direct $kind fully-random -- rst
	pair relay $kind fully-random -- fully-random rst
	pair direct $kind drop double -- rst double
	pair direct $kind rst double -- fully-random double
done
