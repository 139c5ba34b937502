#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# What a resolver makes of a host whose addresses and routes come and go.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_debug
lab_internet
lab_host alice inet 203.0.113.30
PUNCH_PEERS=alice
punch_conf alice $'[service echo]\nport = 9000'
# Other people's servers, to which there is no route: connect() fails at once
sed -i -e 's/^rendezvous = .*/rendezvous = 127.0.0.1:9\nstun = 192.0.2.1 192.0.2.2\nport-mapping = no/' "$(punch_dir alice)/punch.conf"
lab_ip alice route add unreachable 192.0.2.0/24
lab_bg alice program punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
lab_wait 20 "[ \"\$(punch_status alice '.services | length' 2>/dev/null)\" = 1 ]"

said() { grep -c "$1" "$PUNCH_LOG_FILE"; }
CHANGED='netwatch: addresses or default routes changed' SAME='netwatch: nothing that matters'
# ip COMMAND... on alice, and wait until the resolver has made of it what it should
change() {
	local word=$1 before
	shift
	before=$(said "$word")
	lab_ip alice "$@"
	lab_wait 10 "[ \$(said '$word') -gt $before ]"
}
files() { # of all her resolver's processes
	local pid n=0
	for pid in $(pgrep --ns "${LAB_PID[alice]}" --nslist net -f punch-resolver); do
		n=$((n + $(find "/proc/$pid/fd" -type l 2>/dev/null | wc -l)))
	done
	echo "$n"
}
change "$CHANGED" addr add 203.0.113.31/32 dev eth0
change "$CHANGED" addr del 203.0.113.31/32 dev eth0
before=$(files)
for _ in 1 2 3 4 5; do
	change "$CHANGED" addr add 203.0.113.31/32 dev eth0
	change "$CHANGED" addr del 203.0.113.31/32 dev eth0
done
lab_expect 'ports are prepared without a route' grep -q 'is mapped to nothing known' "$PUNCH_LOG_FILE"
lab_expect 'and leave no descriptors behind' lab_poll 5 "[ \$(files) -le $before ]"
lab_note "$before descriptors before ten changes, $(files) after"

# A server that says we are in its own network, which is a private one: no peer is to be sent there
lab_server one 203.0.113.41
lab_server two 203.0.113.42
server() { # HOST [WORD]
	lab_bg "$1" "stun-$1" python3 "$LAB_SRC/tests/lab/stun.py" "${LAB_ADDR[$1]}" 3478 "${@:2}"
	lab_wait_port "$1" 3478
}
again() { # CONFIGURED-SERVERS...: her resolver, anew
	lab_run alice punchctl stop
	lab_stop program
	sed -i -e "s/^stun = .*/stun = $*/" "$(punch_dir alice)/punch.conf"
	: >"$PUNCH_LOG_FILE"
	lab_bg alice program punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
	lab_wait 20 "[ \"\$(punch_status alice '.services | length' 2>/dev/null)\" = 1 ]"
}
server one 192.168.1.1:80
again 203.0.113.41
lab_wait 10 "grep -q 'is mapped to' '$PUNCH_LOG_FILE'"
lab_expect 'a private address is not believed of a public server' eval '! grep -q "is mapped to 192" "$PUNCH_LOG_FILE"'

# Both servers see another port: the mapping depends on the destination. In the next network nobody answers, so nothing is known
lab_stop stun-one
server one each
server two
again 203.0.113.41 203.0.113.42
lab_expect 'a mapping is found out' lab_poll 15 \
	'[ "$(lab_run alice punchctl doctor --json | jq -r .nat.mapping)" = address-and-port-dependent ]'
lab_kill stun-one STOP
lab_kill stun-two STOP
change "$CHANGED" addr add 203.0.113.31/32 dev eth0
lab_expect_match 'and forgotten with the network' "$(lab_run alice punchctl doctor --json | jq -r .nat.mapping)" '^(unknown|null|not.measured)$'
lab_kill stun-one CONT
lab_kill stun-two CONT

# A container comes and goes: its interface has a link-local address of IPv6 alone
lab_ip alice link add c0 type veth peer name c1
lab_ipv6 alice c0
lab_ip alice link set c1 up
before=$(said "$CHANGED")
change "$SAME" link set c0 up
lab_wait 10 "lab_run alice ip -6 addr show dev c0 scope link | grep fe80 | grep -qv tentative"
change "$SAME" link del c0
lab_expect_eq 'containers are no change of the network' "$(said "$CHANGED")" "$before"
# The same own address, another router: it is another network
change "$CHANGED" route replace default via 203.0.113.99 dev eth0 onlink
lab_pass 'another router is one'
lab_ip alice route replace default via "$LAB_CORE" dev eth0 onlink

# Nobody answers at an address where servers are said to be: it gets few SYNs, whatever happens to the network
lab_server victim 203.0.113.77
lab_do nsenter -t "${LAB_PID[victim]}" --net nft 'add table ip fw; add chain ip fw in { type filter hook input priority 0; };
	add rule ip fw in tcp flags syn counter drop'
again 203.0.113.77
SECONDS=0
for _ in {1..25}; do
	change "$CHANGED" addr add 203.0.113.32/32 dev eth0
	change "$CHANGED" addr del 203.0.113.32/32 dev eth0
done
syns=$(nsenter -t "${LAB_PID[victim]}" --net nft list chain ip fw in | sed -n 's/.*counter packets \([0-9]*\).*/\1/p')
lab_note "$syns SYNs, those that the kernel repeats among them, in 50 changes of the network and $SECONDS s"
lab_expect 'an address that does not answer is asked few times' [ "$syns" -gt 0 -a "$syns" -le $((2 * (128 + SECONDS))) ]

# A STUN server's name leads elsewhere now: it is looked up again when the network changes, a minute after the last time
name() { printf '127.0.0.1 localhost\n%s somebody.example\n' "$1" | lab_run alice tee /etc/hosts >/dev/null; }
asked() { grep -c 'asked by' "$(lab_log stun-two)"; }
name 203.0.113.77
again somebody.example
lab_wait 10 "grep -q 'no probe port answered' '$PUNCH_LOG_FILE'"
before=$(asked)
name 203.0.113.42
change "$CHANGED" addr add 203.0.113.33/32 dev eth0
lab_expect 'the name of a STUN server is looked up again' lab_poll 90 "[ \$(asked) -gt $before ]"
