#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# parallel: yes
# timeout: 150
#
# Gateways that lie, talk nonsense, dawdle or send us elsewhere: nothing of it gets into the way of a connection.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
. "$(dirname "$0")/gateway.sh"
lab_begin "$@"
lab_internet
punch_debug
lab_server rdv 203.0.113.10
lab_server bystander 203.0.113.20 v6=2a02:db8:99::20
punch_servers
modes='private wrong short brief garbage slow offline elsewhere silent'
PUNCH_PEERS="bob"
for mode in $modes; do PUNCH_PEERS+=" $mode"; done
mapper() { pgrep -x punch-mapper --ns "${LAB_PID[$1]}" --nslist net; }
lab_nat natB 45.67.90.2 kernel delay=5ms
lab_host bob natB 192.168.1.2
n=2
for mode in $modes; do
	n=$((n + 1))
	lab_nat "nat-$mode" "45.67.90.$n" kernel delay=5ms
	lab_host "$mode" "nat-$mode" 192.168.1.2
done
gateway_ipv6 nat-elsewhere 2a02:db8:1 elsewhere
gateway_ipv6 nat-wrong 2a02:db8:2 wrong
punch_conf bob $'[service echo]\nport = 9000'
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
punch_published bob 9000
lab_bg bystander bystander python3 "$LAB_SRC/tests/lab/gateway.py" nothing 203.0.113.20
for mode in $modes; do
	PUNCH_PEERS="$mode bob"
	punch_conf "$mode"
	case $mode in
	# Its ports are open, and nobody answers
	silent) lab_bg "nat-$mode" "gateway-$mode" socat UDP-RECV:5351,reuseaddr - ;;
	short | brief) lab_bg "nat-$mode" "gateway-$mode" python3 "$LAB_SRC/tests/lab/gateway.py" "$mode" 192.168.1.1 "${LAB_ADDR[nat-$mode]}" ;;
	wrong) lab_bg "nat-$mode" "gateway-$mode" python3 "$LAB_SRC/tests/lab/gateway.py" "$mode" 192.168.1.1 '' 2a02:db8:99::20 ;;
	elsewhere) lab_bg "nat-$mode" "gateway-$mode" python3 "$LAB_SRC/tests/lab/gateway.py" "$mode" 192.168.1.1 203.0.113.20 2a02:db8:99::20 ;;
	*) lab_bg "nat-$mode" "gateway-$mode" python3 "$LAB_SRC/tests/lab/gateway.py" "$mode" 192.168.1.1 ;;
	esac
	[ "$mode" = silent ] || lab_wait_log "gateway-$mode" ready
	# While the gateway is asked, and afterwards
	lab_expect_eq "$mode: bytes pass" "$(echo hello | lab_run "$mode" timeout 20 punch nc -N -w 10 bob 9000)" hello
	lab_expect_eq "$mode: directly" "$(punch_last_path "$mode")" direct
	lab_bg "$mode" "doctor-$mode" punchctl doctor --json
done
declare -A wants=([private]=useless [wrong]=useless [slow]=null [brief]=pcp)
for mode in $modes; do
	wait "${LAB_BGPID[doctor-$mode]}"
	lab_expect_eq "$mode: doctor" "$(jq -r .nat.port_mapping "$(lab_log "doctor-$mode")")" "${wants[$mode]:-none}"
	lab_expect_eq "$mode: bytes pass still" \
		"$(echo hello | lab_run "$mode" timeout 20 punch nc -N -w 10 bob 9000)" hello
done
lab_expect_eq 'private: a second NAT is seen' "$(jq -r .nat.nats "$(lab_log doctor-private)")" 2
lab_expect_match 'the log tells of attempts' "$(grep -c ' attempt ' "$LAB_DIR/log/punch.log")" '^[1-9]'
lab_expect_match 'and of those to what a gateway said, where it is no lie' \
	"$(grep -cF " attempt mapped ${LAB_ADDR[nat-brief]}:" "$LAB_DIR/log/punch.log")" '^[1-9]'
lab_expect_eq 'nobody was sent to what gateways made up' \
	"$(grep ' attempt mapped ' "$LAB_DIR/log/punch.log" | grep -cvF " ${LAB_ADDR[nat-brief]}:")" 0
lab_expect 'wrong: a pinhole was asked for' grep -q 'pinhole asked for' "$(lab_log gateway-wrong)"
lab_expect 'wrong: no pinhole to an address that is not ours' lab_poll 20 \
	'[ "$(lab_run wrong punchctl doctor --json | jq -r .ipv6.pinhole)" = none ]'
lab_expect 'slow: the description was asked for' grep -q asked "$(lab_log gateway-slow)"
lab_expect 'offline: the address was asked for' lab_poll 20 'grep -q GetExternalIPAddress "$(lab_log gateway-offline)"'
lab_expect_eq 'offline: nothing is left at the gateway' "$(($(grep -c AddPortMapping "$(lab_log gateway-offline)") -
	$(grep -c DeletePortMapping "$(lab_log gateway-offline)")))" 0
lab_expect 'elsewhere: the gateway was searched for by IPv6, too' lab_poll 20 \
	'grep -q "searched by IPv6" "$(lab_log gateway-elsewhere)"'
lab_expect 'elsewhere: and it was given up' lab_poll 20 '! mapper elsewhere'
lab_expect 'elsewhere: who could have been asked' lab_run elsewhere nc -6 -z -w 5 2a02:db8:99::20 5000
lab_wait_log bystander asked
lab_expect_eq 'elsewhere: nobody else was asked' "$(grep -c asked "$(lab_log bystander)")" 1

# --- whoever is killed: the resolver goes on without a mapper, a mapper does not stay behind
lab_expect 'a mapper renews' mapper wrong
mapfile -t mappers < <(mapper wrong)
kill -9 "${mappers[@]}"
lab_expect_eq 'mapper killed: bytes pass' "$(echo hello | lab_run wrong timeout 20 punch nc -N -w 10 bob 9000)" hello
lab_run private punchctl stop
lab_expect 'the mapper leaves with the resolver' lab_poll 15 '! mapper private'
lab_expect 'a gateway that dawdles holds no mapper for ever' lab_poll 40 '! mapper slow'

# --- two ports, asked for once more at half of their life, and ended with the resolver
asked() { [ "$(grep -c "mapping asked for $1 s" "$(lab_log gateway-brief)")" -ge "$2" ]; }
lab_expect 'a lease is renewed at half' lab_poll 20 'asked 7200 4'
lab_run brief punchctl stop
lab_expect 'and ended' lab_poll 15 'asked 0 2'
