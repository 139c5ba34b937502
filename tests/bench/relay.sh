#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# relay.sh - bytes a second through the relay over long ways, by the policy of its socket buffers
#
#	[ROUNDS=3] [SPAN=6] tests/bench/relay.sh
#
# alice and carol have the same round trip to the relay, twice of that to each other. One stream
# of iperf3 from alice to carol: direct, relayed with buffers that grow within the budget (the default), and
# relayed with 256 KiB for all. Interleaved; medians of the second half of each stream.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
ROUNDS=${ROUNDS:-3}
SPAN=${SPAN:-6}
lab_internet
lab_server rdv 203.0.113.10
lab_server relay 203.0.113.20
lab_nat natA 198.51.100.1 kernel delay=1ms
lab_nat natC 198.51.100.3 kernel delay=1ms
lab_host alice natA 192.168.1.2
lab_host carol natC 192.168.1.2
PUNCH_PEERS='alice carol'
printf '%s\n' '[rendezvous]' "relay = relay:4433" "relay-secret = $LAB_DIR/relay.secret" >"$LAB_DIR/rendezvous.conf"
head -c 32 /dev/urandom | base64 >"$LAB_DIR/relay.secret"
chmod 600 "$LAB_DIR/relay.secret"
relay() { # OPTION...: another relay, with these
	[ -z "${LAB_BGPID[relay]:-}" ] || lab_stop relay
	lab_bg relay relay punch-relay --listen 0.0.0.0:4433 --secret "$LAB_DIR/relay.secret" "$@"
	lab_wait_port relay 4433
}
relay
lab_bg rdv rendezvous env PUNCH_LOG=info punch-rendezvous -c "$LAB_DIR/rendezvous.conf"
lab_wait_port rdv 4430
lab_wait_log rendezvous 'rendezvous-key'
PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
punch_conf carol $'[service iperf]\nport = 5201\nencrypt = no'
punch_conf alice
lab_bg carol iperf punch iperf3 -s
punch_published carol 5201
one() { # ROUTE: bits a second of the second half
	lab_run alice env PUNCH_ROUTE="$1" punch iperf3 -c carol -t "$SPAN" -O $((SPAN / 2)) -J |
		jq -r '.end.sum_received.bits_per_second // 0'
}
printf '| round trip to the relay, ms | direct, Mbit/s | relayed | relayed, 256 KiB |\n| --- | --- | --- | --- |\n'
for delay in 5 25 50; do
	lab_set natA delay="${delay}ms"
	lab_set natC delay="${delay}ms"
	rm -f "$LAB_DIR"/figures.*
	for ((i = 0; i < ROUNDS; i++)); do
		one direct >>"$LAB_DIR/figures.direct"
		relay
		one relay >>"$LAB_DIR/figures.grown"
		relay --buffer 256
		one relay >>"$LAB_DIR/figures.fixed"
	done
	printf '| %d |' $((2 * delay))
	for kind in direct grown fixed; do
		sort -n "$LAB_DIR/figures.$kind" | awk '{ v[NR] = $1 } END { printf " %.0f |", v[int((NR + 1) / 2)] / 1e6 }'
	done
	printf '\n'
done
