#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# nat_worker.sh PAIRS RESULTS - one lab; makes one connection for each line of PAIRS
#
# A line is: CLASS-A CLASS-B DELAY-MS LOSS-PERCENT | options of NAT A | options of NAT B
# A result is: CLASS-A CLASS-B PATH SETUP-MS RTT-MS REASON
. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
pairs=$1 results=$2
: >"$results"
# Names come from a DNS server on rdv: the service record offers port 443 to those who get nowhere else
printf 'nameserver 203.0.113.10\noptions attempts:2 timeout:1\n' >"$LAB_DIR/resolv.conf"
punch_net port=preserve offload=off -- port=preserve offload=off
lab_server relay 203.0.113.20
lab_bg rdv dns dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --port=53 \
	--address=/rdv.test/203.0.113.10 --srv-host=_punch._tcp.rdv.test,rdv.test,4430,1 \
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
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
sed -i 's/^rendezvous = .*/rendezvous = rdv.test/' "$(punch_dir alice)/punch.conf" "$(punch_dir bob)/punch.conf"

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

one() { # A B DELAY LOSS "OPTIONS A" "OPTIONS B"
	local a=$1 b=$2 delay=$3 loss=$4 status answer
	lab_set natA $5 "delay=${delay}ms" "loss=$loss%"
	lab_set natB $6 "delay=${delay}ms" "loss=$loss%"
	web_only alice "$([ "$a" = X9 ] && echo on || echo off)"
	web_only bob "$([ "$b" = X9 ] && echo on || echo off)"
	lab_nat_flush natA
	lab_nat_flush natB
	lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
	punch_published bob 9000
	answer=$(echo hello | lab_run alice env PUNCH_TIMEOUT=20 timeout 25 punch nc -N -w 20 bob 9000 2>"$LAB_DIR/err")
	if [ "$answer" = hello ]; then
		# The first connection started the resolver: the second shows what a warm one takes
		answer=$(echo again | lab_run alice env PUNCH_TIMEOUT=20 timeout 25 punch nc -N -w 20 bob 9000 2>"$LAB_DIR/err")
	fi
	status=$(punch_status alice '[.connections[] | select(.direction == "out")] | last | "\(.path) \(.setup_ms)"' 2>/dev/null)
	[ -n "$answer" ] || status='none 0'
	printf '%s %s %s %s %s\n' "$a" "$b" "$status" "$((4 * delay))" "$(tr '\n' ' ' <"$LAB_DIR/err")" >>"$results"
	lab_run alice punchctl stop >/dev/null 2>&1
	lab_stop echo
	lab_run bob punchctl stop >/dev/null 2>&1
	lab_poll 5 "! lab_run bob punchctl status >/dev/null 2>&1 && ! lab_run alice punchctl status >/dev/null 2>&1"
}

while IFS='|' read -r head a b <&9; do
	# shellcheck disable=SC2086
	one $head "$a" "$b"
done 9<"$pairs"
