#!/bin/bash
# SPDX-License-Identifier: MIT
# What each kind of NAT does, as seen by hosts on both sides; the kernel's and ours must agree.
# parallel: yes
# timeout: 120

. "$(dirname "$0")/lab.sh"
lab_begin "$@"

OTHER=203.0.113.12 # a server that nobody behind a NAT ever contacts
PORT=5000

# seen HOST LOCAL-PORT SERVER SERVER-PORT: address and port under which the server sees the host
seen() {
	local out
	out=$(lab_run "$1" tcpprobe connect -p "$2" -h 500 "$3" "$4")
	out=${out#*via }
	printf '%s' "${out%% *}"
}

# knock FROM ARGUMENT...: outcome of a connect from a server: connected, ETIMEDOUT, ECONNREFUSED ...
knock() {
	local from=$1 verb what
	shift
	read -r verb what _ < <(lab_run "$from" tcpprobe connect -w 700 "$@")
	[ "$verb" = connected ] && printf connected || printf '%s' "$what"
}

hop() { # HOST TTL: who answers a packet with this TTL
	lab_run "$1" ping -c 1 -W 2 -t "$2" $OTHER | sed -n 's/^From \([0-9.]*\) .*exceeded$/\1/p'
}

# observe NAT HOST: everything about a NAT in one line
observe() {
	local host=$2 a b c map port=changed filter=address-port knocks own=${LAB_ADDR[$1]}
	a=$(seen "$host" $PORT 203.0.113.10 4000)
	b=$(seen "$host" $PORT 203.0.113.10 4001)
	c=$(seen "$host" $PORT 203.0.113.11 4000)
	case $a,$b,$c in
	"$a,$a,$a") map=endpoint ;;
	"$a,$a,$c") map=address ;;
	*) map=address-port ;;
	esac
	[ "$a" != "$own:$PORT" ] || port=preserved
	[ "${a%:*}" = "$own" ] || port="odd-address-$a"
	knocks=$(knock rdv "$own" "${a#*:}"),$(knock other "$own" "${a#*:}")
	case $knocks in
	connected,connected) filter=none ;;
	connected,*) filter=address ;;
	*,connected) filter="odd-$knocks" ;;
	esac
	printf 'mapping=%s port=%s filtering=%s stray=%s hairpin=%s hops=%s,%s' "$map" "$port" "$filter" \
		"$(knock other "$own" 7777)" "$(knock "$host" "$own" "${a#*:}")" "$(hop "$host" 1)" "$(hop "$host" 2)"
}

lab_internet
for n in 0 1 2; do
	names=(rdv rdv2 other)
	server=${names[n]}
	lab_server "$server" 203.0.113.1$n
	for port in 4000 4001; do
		lab_bg "$server" "$server-$port" tcpprobe listen -p $port -w 100000
		lab_wait_port "$server" $port
	done
done

rows=()
# row NAME EXPECTED OPTION...: a NAT, a host behind it that listens, and what is to be seen
declare -A expected
row() {
	local name=$1 n=$((${#rows[@]} + 1))
	expected[$name]=$2
	shift 2
	rows+=("$name")
	lab_nat "$name" 198.51.100.$n "$@"
	lab_host "h-$name" "$name" 192.168.1.2
	lab_bg "h-$name" "listen-$name" tcpprobe listen -p $PORT -w 100000
	lab_wait_port "h-$name" $PORT
}

usual='filtering=address-port stray=ETIMEDOUT hairpin=ECONNREFUSED hops=192.168.1.1,203.0.113.254'
refuse='filtering=address-port stray=ECONNREFUSED hairpin=ECONNREFUSED hops=192.168.1.1,203.0.113.254'
home="mapping=endpoint port=preserved $usual"
home_rst="mapping=endpoint port=preserved $refuse"
random="mapping=address-port port=changed $usual"
row drop "$home" mapping=endpoint port=preserve stray=drop
row k-drop "$home" kernel stray=drop
row rst "$home_rst" stray=rst
row k-rst "$home_rst" kernel stray=rst
row random "$random" mapping=address-port port=random
row k-random "$random" kernel random
row k-full "$random" kernel fully-random
row parity "$random" mapping=address-port port=parity
row block "$random" mapping=address-port port=block:256
row seq "$random" mapping=address-port port=sequential:5
row byaddr "mapping=address port=changed $usual" mapping=address port=random
row offset "mapping=endpoint port=changed $usual" port=offset
row synack "$home" filtering=synack
row icmp "${home/stray=ETIMEDOUT/stray=EHOSTUNREACH}" stray=icmp
row admin "${home/stray=ETIMEDOUT/stray=EHOSTUNREACH}" stray=icmp-admin
row fnone "${home/=address-port/=none}" filtering=none
row faddr "${home/=address-port/=address}" filtering=address
hair=${home/=address-port/=none}
row hairpin "${hair/hairpin=ECONNREFUSED/hairpin=connected}" filtering=none hairpin=on
row quiet "${home/192.168.1.1,/,}" time-exceeded=off

declare -A pids
for name in "${rows[@]}"; do
	observe "$name" "h-$name" >"$LAB_DIR/$name.seen" &
	pids[$name]=$!
done
for name in "${rows[@]}"; do
	wait "${pids[$name]}"
	lab_expect_eq "NAT $name: ${expected[$name]}" "$(cat "$LAB_DIR/$name.seen")" "${expected[$name]}"
done

# Ports in a row, and ports within one block.
for name in seq block; do
	: >"$LAB_DIR/ports"
	for n in 1 2 3 4 5 6; do
		a=$(seen "h-$name" 51$n$n 203.0.113.10 4000)
		echo "${a#*:}" >>"$LAB_DIR/ports"
	done
	sort -n "$LAB_DIR/ports" | sed -n '1p;$p' | tr '\n' ' ' >"$LAB_DIR/span"
	read -r low high <"$LAB_DIR/span"
	if [ $name = seq ]; then
		# five steps of one, and five ports a second that others take
		lab_expect "ports of $name lie close ($low to $high)" test $((high - low)) -ge 5 -a $((high - low)) -le 100
	else
		lab_expect_eq "ports of $name lie in one block ($low to $high)" $(((low - 1024) / 256)) $(((high - 1024) / 256))
	fi
done

# RFC 5382, REQ-4: no answer for 6 s, then ICMP port unreachable.
lab_nat held 198.51.100.99 stray=held
read -r _ what ms _ < <(lab_run other tcpprobe connect -w 9000 198.51.100.99 7777)
lab_expect_eq 'a held SYN is refused in the end' "$what" ECONNREFUSED
lab_expect_match "... after 6 s (${ms:-?} ms)" "$ms" '^60[0-9][0-9]\.'
