#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# nat_worker.sh PAIRS RESULTS [TACTICS...] - one lab; makes two connections for each line of PAIRS
#
# A line is: CLASS-A CLASS-B DELAY-MS LOSS-PERCENT NATS-A NATS-B | options of NAT A | options of NAT B
# NATS is 2 where a home's NAT lies below the one with the options. TACTICS are ours, once and dcutr
# (baseline.c). A result, tab separated: TACTICS CLASS-A CLASS-B PATH PATH-AGAIN AGAIN-MS DELAY-MS SYNS WHY;
# the first connection starts the resolvers, the one again is a warm one's.
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
pairs=$1 results=$2
shift 2
tactics=("${@:-ours}")
SERVICE=22 # a port that punch does not encrypt: the time is the path's alone
: >"$results"
# Names come from a DNS server on rdv: the service record offers port 443 to those who get nowhere else
printf 'nameserver 203.0.113.10\noptions attempts:2 timeout:1\n' >"$LAB_DIR/resolv.conf"
punch_net gateway port=preserve offload=off -- gateway port=preserve offload=off
lab_nat homeA 192.168.1.3 via=natA inside=192.168.7.1
lab_host alice2 homeA 192.168.7.2
lab_nat homeB 192.168.1.3 via=natB inside=192.168.7.1
lab_host bob2 homeB 192.168.7.2
# A detour, so that it is never preferred to a direct path for its speed
lab_server relay 203.0.113.20 delay=25ms
lab_bg rdv dns dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --port=53 \
	--local=/test/ --host-record=rdv.test,203.0.113.10 --srv-host=_punch._tcp.rdv.test,rdv.test,4430,1 \
	--srv-host=_punch._tcp.rdv.test,rdv.test,443,2
mkdir -p "$LAB_DIR/conf"
printf '[rendezvous]\nlisten = 0.0.0.0:4430 0.0.0.0:443\nkey = rdv.key\nrelay = 203.0.113.20:443\nrelay-secret = relay.secret\n' \
	>"$LAB_DIR/conf/rendezvous.conf"
printf '[relay]\nlisten = 0.0.0.0:443\nsecret = relay.secret\n' >"$LAB_DIR/conf/relay.conf"
openssl rand -base64 32 >"$LAB_DIR/conf/relay.secret"
chmod 600 "$LAB_DIR/conf/relay.secret"
lab_bg relay relay punch-relay -c "$LAB_DIR/conf/relay.conf"
lab_wait_port relay 443
lab_bg rdv rendezvous punch-rendezvous -c "$LAB_DIR/conf/rendezvous.conf"
lab_wait_port rdv 443
lab_wait_log rendezvous 'rendezvous-key'
PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
# Both hosts of a side are the same node, at different places
PUNCH_PEERS='alice bob'
punch_conf bob "[service echo]"$'\n'"port = $SERVICE"
punch_conf alice
for side in alice bob; do
	sed -i 's/^rendezvous = .*/rendezvous = rdv.test/' "$(punch_dir "$side")/punch.conf"
	mkdir -p "$(dirname "$(punch_dir "${side}2")")"
	cp -r "$(punch_dir "$side")" "$(punch_dir "${side}2")"
done

web_only() { # HOST on|off: nothing but ports 80 and 443 (and names) leaves the host
	lab_run "$1" nft flush ruleset
	[ "$2" = on ] || return 0
	lab_run "$1" nft -f - <<-RULES
		table ip web {
			chain out {
				type filter hook output priority 0;
				oifname lo accept
				udp dport 53 accept
				tcp dport { 80, 443 } accept
				tcp flags & (syn | ack) == syn drop
			}
		}
	RULES
}

syns() { echo $(($(lab_nat_syns natA) + $(lab_nat_syns natB))); }

call() { # HOST: one connection; true when bytes came back
	[ "$(echo hello | lab_run "$1" env PUNCH_TIMEOUT=20 PUNCH_LOG=info PUNCH_LOG_FILE="$LAB_DIR/said" \
		timeout 25 punch nc -N -w 20 bob $SERVICE 2>>"$LAB_DIR/err")" = hello ]
}

one() { # TACTICS A B DELAY LOSS NATS-A NATS-B "OPTIONS A" "OPTIONS B"
	local tactics=$1 a=$2 b=$3 delay=$4 loss=$5 caller=alice callee=bob first=none again='none 0' before sent why=''
	LAB_FIRST=
	[ "$tactics" = ours ] || LAB_FIRST=$LAB_BUILD/baseline
	export BASELINE=$tactics
	[ "$6" = 1 ] || caller=alice2
	[ "$7" = 1 ] || callee=bob2
	lab_set natA $8 "delay=${delay}ms" "loss=$loss%"
	lab_set natB $9 "delay=${delay}ms" "loss=$loss%"
	web_only $caller "$([ "$a" = X9 ] && echo on || echo off)"
	web_only $callee "$([ "$b" = X9 ] && echo on || echo off)"
	lab_nat_flush natA
	lab_nat_flush natB
	# Each pair meets for the first time: what was learnt of the last one is forgotten
	rm -rf "$LAB_DIR/said" "$LAB_DIR/err" "$LAB_DIR"/host/{alice,bob}{,2}/home/.local/state/punch
	lab_bg $callee echo punch socat -t 20 TCP-LISTEN:$SERVICE,fork,reuseaddr EXEC:cat
	punch_published $callee $SERVICE
	before=$(syns)
	if call $caller; then
		first=$(punch_last_path $caller)
		sent=$(($(syns) - before))
		[ "$tactics" != ours ] || ! call $caller || again=$(punch_status $caller \
			'[.connections[] | select(.direction == "out")] | last | "\(.path) \(.setup_ms)"')
	else
		sent=$(($(syns) - before))
	fi
	[ "$first" = none ] && why=$(tail -n 1 "$LAB_DIR/err")
	[ "$first" = relay ] && why=$(sed -n 's/.*relayed, direct: //p' "$LAB_DIR/said" | head -n 1)
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$tactics" "$a" "$b" "$first" "${again% *}" "${again#* }" \
		"$delay" "$sent" "$why" >>"$results"
	lab_run $caller punchctl stop >/dev/null 2>&1
	lab_stop echo
	lab_run $callee punchctl stop >/dev/null 2>&1
	lab_poll 5 "! lab_run $callee punchctl status >/dev/null 2>&1 && ! lab_run $caller punchctl status >/dev/null 2>&1"
}

while IFS='|' read -r head a b <&9; do
	for t in "${tactics[@]}"; do
		# shellcheck disable=SC2086
		one "$t" $head "$a" "$b"
	done
done 9<"$pairs"
