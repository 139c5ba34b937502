#!/bin/bash
# SPDX-License-Identifier: MIT
# Both ways of opening two NATs, with bare sockets: simultaneous and ordered; through the kernel's NATs
# and ours alike. Also the failures that show that the NATs are what they claim to be.
# parallel: yes
# timeout: 170

. "$(dirname "$0")/lab.sh"
lab_begin "$@"
lab_internet

# Every box A of a kind has a twin B, with a host behind each.
twins() { # KIND OPTION...
	local kind=$1 side
	shift
	for side in a b; do
		count=$((count + 1))
		lab_nat "$kind-$side" 198.51.100.$count "$@"
		lab_host "h-$kind-$side" "$kind-$side" 192.168.1.2
	done
}
count=0
port=20000

# try FILE KIND-A KIND-B ARGUMENTS-A -- ARGUMENTS-B: two probes against each other from fresh ports
try() {
	local file=$1 a=$2-a b=$3-b first=() pid
	shift 3
	while [ "$1" != -- ]; do first+=("$1") && shift; done
	shift
	lab_run "h-$a" tcpprobe connect -w 8000 -p "$port" "${first[@]}" "${LAB_ADDR[$b]}" $((port + 1)) >"$file.a" &
	pid=$!
	lab_run "h-$b" tcpprobe connect -w 8000 -p $((port + 1)) "$@" "${LAB_ADDR[$a]}" "$port" >"$file.b"
	wait "$pid"
}

# outcome FILE: "connected" if both did, or what became of the first
outcome() {
	local verb_a what_a verb_b
	read -r verb_a what_a _ <"$1.a"
	read -r verb_b _ <"$1.b"
	[ "$verb_a,$verb_b" = connected,connected ] && echo connected || echo "$verb_a $what_a, $verb_b"
}

# The tries run side by side; their results are looked at in the end.
names=() wants=() pids=()
expect_try() { # NAME WANTED TRY-ARGUMENTS...
	local name=$1 want=$2
	shift 2
	port=$((port + 2))
	try "$LAB_DIR/try${#names[@]}" "$@" &
	pids+=($!) names+=("$name") wants+=("$want")
}
settle() {
	local i
	for i in "${!names[@]}"; do
		wait "${pids[i]}"
		lab_expect_match "${names[i]} [$(cut -d ' ' -f 2-3 "$LAB_DIR/try$i.a")]" "$(outcome "$LAB_DIR/try$i")" "${wants[i]}"
	done
	names=() wants=() pids=()
}

for ms in 5 25 100; do
	twins drop$ms stray=drop delay=${ms}ms
	twins rst$ms stray=rst delay=${ms}ms
	twins kdrop$ms kernel stray=drop delay=${ms}ms
	twins krst$ms kernel stray=rst delay=${ms}ms
done

# Simultaneous: both connect at about the same time; a refused side tries again after a random wait.
for ms in 5 25 100; do
	for pair in 'drop drop' 'kdrop kdrop' 'rst rst' 'krst krst' 'drop rst' 'rst drop' 'kdrop krst' 'krst kdrop' 'rst krst'; do
		read -r a b <<<"$pair"
		expect_try "simultaneous, $a - $b, $ms ms" '^connected$' "$a$ms" "$b$ms" -r -- -r
	done
	settle
done

# Ordered: A's SYN dies at the router; B dials 300 ms later. B's NAT may refuse SYNs, A's NAT must not see any.
for ms in 5 25 100; do
	for pair in 'drop drop' 'kdrop kdrop' 'drop rst' 'kdrop krst' 'rst drop' 'krst kdrop' 'rst rst' 'krst krst'; do
		read -r a b <<<"$pair"
		expect_try "ordered, $a - $b, $ms ms" '^connected$' "$a$ms" "$b$ms" -t 2 -m 2 -- -d 300
	done
	settle
done

# What must not work, or the tests above prove nothing.
for kind in rst25 krst25; do
	expect_try "a late side without retry is refused, $kind" '^failed ECONNREFUSED' $kind $kind -- -d 500
	expect_try "the router's ICMP ends a low SYN without IP_MINTTL, $kind" '^failed EHOSTUNREACH' $kind $kind -t 2 -- -d 300
done
twins synack filtering=synack
expect_try 'two NATs that drop every bare SYN cannot be opened' '^failed ETIMEDOUT' synack synack -r -- -r
expect_try 'a NAT that drops bare SYNs: retransmitted SYN and SYN-ACK' '^connected$' synack drop5 -r -- -r
twins held stray=held
expect_try 'simultaneous, a NAT that holds a stray SYN' '^connected$' held held -- -d 1500
settle

# Neighbours: no router between the NATs, so a SYN of TTL 2 reaches the other one.
twins near stray=rst neighbours=on
expect_try 'neighbours: the low SYN is refused by the other NAT' '^failed ECONNREFUSED' near near -t 2 -m 2 -- -d 300
expect_try 'neighbours: simultaneous' '^connected$' near near -r -- -r
settle

# One NAT with loss: the kernel's retransmission carries it through.
twins lossy stray=drop delay=5ms loss=20%
expect_try 'simultaneous, 36 % of packets lost on the way' '^connected$' lossy lossy -- -d 20
settle
