#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 120
#
# A rendezvous whose name comes from a real name server, over wires that lose the wrong packets.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
printf 'nameserver 203.0.113.10\n' >"$LAB_DIR/resolv.conf"
punch_net port=preserve filtering=address-port delay=5ms -- port=preserve filtering=address-port delay=5ms
mkdir -p "$LAB_DIR/conf"
printf '[rendezvous]\nlisten = 0.0.0.0:4430 0.0.0.0:443\nkey = rdv.key\n' >"$LAB_DIR/conf/rendezvous.conf"
lab_bg rdv dns dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --port=53 --local=/test/ \
	--host-record=rdv.test,203.0.113.10 --srv-host=_punch._tcp.rdv.test,rdv.test,4430,1 \
	--srv-host=_punch._tcp.rdv.test,rdv.test,443,2
lab_bg rdv rendezvous punch-rendezvous -c "$LAB_DIR/conf/rendezvous.conf"
lab_wait_port rdv 443
lab_wait_log rendezvous 'rendezvous-key'
PUNCH_SERVER_KEY=$(sed -n 's/.*rendezvous-key *= *\([A-Za-z0-9+/=]*\).*/\1/p' "$(lab_log rendezvous)" | head -n 1)
punch_conf bob $'[service echo]\nport = 9000'
punch_conf alice
sed -i 's/^rendezvous = .*/rendezvous = rdv.test/' "$(punch_dir alice)/punch.conf" "$(punch_dir bob)/punch.conf"
lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 9000
punch_published bob 9000

hello() { echo hello | lab_run alice timeout 25 punch nc -N -w 20 bob 9000 2>>"$(lab_log nc)"; }
# What of alice never reaches rdv. A question's type stands behind its name: after 8 + 12 + 10 octets of UDP for
# rdv.test, + 22 for _punch._tcp.rdv.test. A quota lets the first ones match: 54 octets of A, 66 of SRV, 60 of a SYN
A='udp dport 53 @th,240,16 1' AAAA='udp dport 53 @th,240,16 28' SRV='udp dport 53 @th,336,16 33'
lost() { # RULE...
	lab_run alice punchctl stop >/dev/null 2>&1
	lab_run rdv nft flush ruleset
	lab_run rdv nft -f - <<-RULES || lab_skip 'nft has no quota here'
		table ip loss {
			chain in {
				type filter hook input priority 0;
				$(printf 'ip saddr 198.51.100.1 %s drop\n' "$@")
			}
		}
	RULES
}

# --- port 443 stands in SRV only, and no other gets through
lost "tcp dport 4430" "$AAAA" "$SRV quota until 150 bytes"
lab_expect_eq 'SRV lost twice, AAAA never answered, only port 443 is open' "$(hello)" hello
lab_expect_eq '... by port 443' "$(lab_run alice ss -Htn state established '( dport = :443 or dport = :4430 )' | awk '{ print $NF }')" 203.0.113.10:443

lost "tcp dport 4430" "$A quota until 120 bytes" "$AAAA quota until 120 bytes" "$SRV quota until 150 bytes"
lab_expect_eq 'all of the first two questions are lost' "$(hello)" hello

# --- a name found late, and then the server's answer: after 4 s, and 2 s more (Linux before 6.5: 3 s), with three
# round trips to come: more than the patience for a server that is away
lab_set natA delay=150ms
lost "$A quota until 226 bytes" 'tcp dport 4430 tcp flags & (syn | ack) == syn quota until 130 bytes'
sed -i 's/^rendezvous = .*/rendezvous = rdv.test:4430/' "$(punch_dir alice)/punch.conf"
lab_expect_eq 'the name is found with the fifth question, the server with the third SYN' "$(hello)" hello
lab_set natA delay=5ms

# --- nobody answers at all: that is told before PUNCH_TIMEOUT
lost 'udp dport 53'
lab_expect_eq 'no name server answers: no connection' "$(hello)" ''
lab_expect_match '... and why' "$(tail -n 1 "$(lab_log nc)")" 'rdv.test:4430: no name server answered within 5 s'
