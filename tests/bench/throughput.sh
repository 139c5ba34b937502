#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# throughput.sh - bytes a second of a punched and of a relayed socket, bare and encrypted, against a plain one
#
# carol has no NAT, so that a plain connection to the very same program takes the very same way
# (alice, NAT A, core, carol). Rounds are interleaved; the ratios are of medians.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
ROUNDS=${ROUNDS:-5}
SPAN=${SPAN:-2}
LAB_MTU=9000
lab_internet
lab_server rdv 203.0.113.10
lab_nat natA 198.51.100.1 kernel
lab_host alice natA 192.168.1.2
lab_host carol inet 203.0.113.30
PUNCH_PEERS='alice carol'
punch_servers
punch_conf carol $'[service iperf]\nport = 5201\nencrypt = no\n[service iperf-tls]\nport = 5202\nencrypt = yes'
punch_conf alice
lab_bg carol iperf punch iperf3 -s
lab_bg carol iperf-tls punch iperf3 -s -p 5202
punch_published carol 5201
punch_published carol 5202
one() { # HOST PORT [ENV...]: bits a second
	local host=$1 port=$2
	shift 2
	lab_run alice env "$@" punch iperf3 -c "$host" -p "$port" -t "$SPAN" -J | jq -r '.end.sum_received.bits_per_second'
}
for ((i = 0; i < ROUNDS; i++)); do
	one 203.0.113.30 5201 >>"$LAB_DIR/plain"
	one carol 5201 PUNCH_ROUTE=direct >>"$LAB_DIR/punched"
	one carol 5201 PUNCH_ROUTE=relay >>"$LAB_DIR/relayed"
	one carol 5202 PUNCH_ROUTE=direct >>"$LAB_DIR/punched-tls"
	one carol 5202 PUNCH_ROUTE=relay >>"$LAB_DIR/relayed-tls"
done
median() { sort -n "$LAB_DIR/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
printf '%-12s %12s %10s\n' socket 'Gbit/s' 'x plain'
for kind in plain punched relayed punched-tls relayed-tls; do
	awk -v k="$kind" -v v="$(median $kind)" -v p="$(median plain)" \
		'BEGIN { printf "%-12s %12.2f %10.2f\n", k, v / 1e9, v / p }'
done
