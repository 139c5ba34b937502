#!/bin/bash
# SPDX-License-Identifier: MIT
# The lab does what a scenario asks of it: wires, LANs, NATs behind NATs, IPv6, time, and its own privacy.
# parallel: yes
# timeout: 120
# shellcheck disable=SC2016 # conditions and commands are evaluated later

. "$(dirname "$0")/lab.sh"
lab_begin "$@"
lab_internet
lab_server rdv 203.0.113.10
lab_server far 203.0.113.11 delay=40ms
for port in 4000 4001 4002; do
	lab_bg rdv rdv-$port tcpprobe listen -p $port -w 110000
	lab_wait_port rdv $port
done

# seen HOST LOCAL-PORT [PORT]: address and port under which rdv sees it. From one local port to another
# port each time: the same connection again would have to wait for the end of TIME_WAIT.
seen() {
	local out
	out=$(lab_run "$1" tcpprobe connect -p "$2" 203.0.113.10 "${3:-4000}")
	out=${out#*via }
	printf '%s' "${out%% *}"
}

rtt() { # HOST ADDRESS: least round-trip time in ms
	lab_run "$1" ping -c 8 -i 0.02 -W 2 "$2" | sed -n 's/^rtt[^=]*= \([0-9]*\).*/\1/p'
}

expect_rtt() { # NAME MS HOST ADDRESS
	local ms
	ms=$(rtt "$3" "$4")
	lab_expect "$1: ${ms:-no answer} ms of $2" test "${ms:-0}" -ge "$2" -a "${ms:-0}" -le $(($2 + 15))
}

reaches() { lab_run "$1" ping -q -c 1 -W 1 "$2"; }
cannot_reach() { ! reaches "$@"; }
hops() { # HOST COUNT: who answers the packets of TTL 1, 2 ...
	local ttl
	for ((ttl = 1; ttl <= $2; ttl++)); do
		lab_run "$1" ping -c 1 -W 2 -t $ttl 203.0.113.10 | sed -n 's/^From \([0-9.]*\) .*exceeded$/\1/p' | tr '\n' ' '
	done
}

# --- time and loss
lab_nat natA 198.51.100.1 delay=30ms
lab_nat natB 198.51.100.2 kernel delay=10ms
lab_host alice natA 192.168.1.2
lab_host bob natB 192.168.1.2
expect_rtt 'our NAT has the delay asked for' 60 alice 203.0.113.10
expect_rtt 'so has the kernel NAT' 20 bob 203.0.113.10
expect_rtt 'and the wire of a server' 140 alice 203.0.113.11
lab_set natA delay=5ms
expect_rtt 'the delay can be changed' 10 alice 203.0.113.10

for nat in one two three; do
	seed=7 addr=$((${addr:-10} + 1))
	[ $nat != three ] || seed=8
	lab_nat lossy-$nat 198.51.100.$addr loss=20% seed=$seed
	lab_host h-$nat lossy-$nat 192.168.1.2
	# ten more: ping does not wait long for the last answers
	lab_run h-$nat ping -n -c 210 -i 0.005 -W 1 203.0.113.10 |
		sed -n 's/.*icmp_seq=\([0-9]*\).*/\1/p' | awk '$1 <= 200' >"$LAB_DIR/$nat"
done
got=$(wc -l <"$LAB_DIR/one")
lab_expect "20 % each way leaves about 128 of 200 ($got)" test "$got" -ge 105 -a "$got" -le 151
lab_expect 'the same seed loses the same packets' cmp "$LAB_DIR/one" "$LAB_DIR/two"
lab_expect 'another seed loses others' eval '! cmp -s "$LAB_DIR/one" "$LAB_DIR/three"'
lab_expect 'the log says which were lost' grep -q 'drop out .*: loss' "$LAB_DIR/log/nat-lossy-one.log"

# --- mappings end
mappings() { "$LAB_BUILD/lab/nat" --ctl "${LAB_CTL[$1]}" --do mappings; }
lab_nat short 198.51.100.21 port=random transitory=2s
lab_host h-short short 192.168.1.2
first=$(seen h-short 5000)
begin=$EPOCHSECONDS
lab_wait 6 '[ "$(mappings short)" = "ok 0" ]'
lab_expect "a closed connection's mapping lasts its 2 s" test $((EPOCHSECONDS - begin)) -ge 1
lab_expect 'a new one has another port' test "$first" != "$(seen h-short 5000 4001)"

lab_nat control 198.51.100.22 port=random control=on
lab_host h-control control 192.168.1.2
lab_bg h-control held tcpprobe connect -p 5000 -h 60000 203.0.113.10 4000
lab_wait_log held connected
lab_wait 5 '[ "$(mappings control)" = "ok 0" ]'
lab_pass 'with control=on a mapping goes with its first connection, by FIN'

first=$(seen alice 5001)
lab_set natA port=random
lab_expect_eq 'a mapping is kept while it lives' "$(seen alice 5001 4001)" "$first"
lab_nat_flush natA
lab_expect 'a box switched off and on has forgotten it' test "$first" != "$(seen alice 5001 4002)"

# --- places
lab_host ann natA 192.168.1.3
lab_host ben natB 192.168.1.3
lab_expect 'hosts behind one NAT do not see each other' cannot_reach alice 192.168.1.3
lab_expect '... nor behind a kernel NAT' cannot_reach bob 192.168.1.3
lab_lan lan1 alice ann
lab_lan lan2 bob ben
lab_expect 'a LAN joins them' reaches alice 192.168.1.3
lab_expect '... behind a kernel NAT, too' reaches bob 192.168.1.3
lab_expect 'and the Internet is still there' reaches ann 203.0.113.10
lab_expect 'private addresses lead nowhere on the Internet' cannot_reach rdv 192.168.1.2

lab_nat cgn 198.51.100.31 inside=100.64.0.1 mapping=address-port port=random
lab_nat k-cgn 198.51.100.32 inside=100.64.0.1 kernel
for nat in cgn k-cgn; do
	lab_nat $nat-own 100.64.0.2 via=$nat
	lab_nat $nat-kern 100.64.0.3 via=$nat kernel
	for home in own kern; do
		lab_host h-$nat-$home $nat-$home 192.168.1.2
		lab_expect_eq "double NAT, $home behind $nat: hops" "$(hops h-$nat-$home 3)" \
			'192.168.1.1 100.64.0.1 203.0.113.254 '
		lab_expect_match "double NAT, $home behind $nat: TCP" "$(seen h-$nat-$home 5002)" "^198\.51\.100\.3[12]:"
	done
done

# --- IPv6 through a stateful firewall
lab_nat fire 198.51.100.41
lab_host six fire 192.168.1.2 v6=2001:db8:41::2
lab_host open inet 203.0.113.46 v6=2001:db8:1::46
lab_bg open open6 nc -6 -lk 4006
lab_bg six six6 nc -6 -lk 4006
lab_wait_port open 4006
lab_wait_port six 4006
lab_expect 'IPv6 goes out' lab_run six nc -6 -z -w 2 2001:db8:1::46 4006
lab_expect 'IPv6 does not come in' eval '! lab_run open nc -6 -z -w 1 2001:db8:41::2 4006'
lab_expect 'a router answers a short hop limit' eval 'lab_run six ping -6 -c 1 -W 2 -t 2 2001:db8:1::46 | grep -q exceeded'

# --- privacy
lab_run alice touch "$LAB_DIR/host/alice/home/mine" /run/mine
lab_expect 'a host has a HOME of its own' lab_run alice bash -c '[ -e ~/mine ] && [ "$HOME" != "$(getent passwd 0 | cut -d: -f6)" ]'
lab_expect '... and /run, unlike others' lab_run bob test ! -e /run/mine
lab_expect 'a host knows servers by name' lab_run alice getent hosts rdv
lab_expect '... but no peers' eval '! lab_run alice getent hosts bob'
