#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 170
# parallel: yes
#
# Two NATs and no server anywhere: peers that know each other's key and public address meet by the clock.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_debug
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'sshd wants real root'
lab_internet
lab_nat natA 198.51.100.1 port=preserve filtering=address-port stray=rst delay=10ms
lab_nat natB 198.51.100.2 port=preserve filtering=address-port stray=drop delay=10ms gateway pmp=on
lab_host alice natA 192.168.1.2
lab_host bob natB 192.168.1.2
lab_server carol 203.0.113.30 delay=10ms
lab_server mallory 203.0.113.40

# Two of them by name: whom they serve is awaited by it, and called by it
printf '198.51.100.1 alice.example\n203.0.113.30 carol.example\n' >>"$LAB_DIR/hosts"
declare -A PUBLIC=([alice]=alice.example [bob]=198.51.100.2 [carol]=carol.example)
meeting_conf() { # HOST EXTRA
	local host=$1 peer
	punch_key "$host" >/dev/null
	{
		printf '[node]\nname = %s\nkey = node.key\nrendezvous = none\n' "$host"
		for peer in alice bob carol; do
			[ "$peer" = "$host" ] ||
				printf '\n[peer %s]\nkey = %s\naddress = %s\n' "$peer" "$(punch_key "$peer")" "${PUBLIC[$peer]}"
		done
		printf '%s\n' "$2"
	} >"$(punch_dir "$host")/punch.conf"
}
resolver() { # HOST SECONDS: start one whose clock is wrong by that much
	lab_run "$1" punchctl stop >/dev/null 2>&1
	lab_run "$1" env LD_PRELOAD="$FAKETIME" FAKETIME="$2s" FAKETIME_DONT_FAKE_MONOTONIC=1 punch-resolver --background
}
# hello WORD [FROM [TO]]: the word, there and back
hello() { echo "$1" | lab_run "${2:-alice}" timeout 25 punch nc -N -w 20 "${3:-bob}" 9000 2>>"$(lab_log hello)"; }
# at TENTHS: wait until so many tenths of a second of the present bucket are over by the true clock, or a bit more
at() {
	local tenths
	lab_poll 15 "tenths=\$((\${EPOCHREALTIME/[.,]/} / 100000 % 100)); [ \$tenths -ge $1 ] && [ \$tenths -lt $(($1 + 3)) ]"
}
FAKETIME=$(find /usr/lib -name libfaketime.so.1 | head -n 1)
[ -n "$FAKETIME" ] || lab_die 'no libfaketime.so.1'

meeting_conf bob $'[service ssh]\nport = 22\n[service any]\nport = 9000'
meeting_conf carol $'[service any]\nport = 9000'
meeting_conf alice ''
resolver bob +1.0 # his clock is a second fast throughout
punch_sshd bob
lab_bg bob echo punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
lab_bg carol echo-carol punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
published() { [ "$(punch_status bob '.services | length'),$(punch_status carol '.services | length')" = 2,1 ]; }
lab_wait 20 published

# Whom bob awaits, for both ports and for pings, at the edge of a bucket twice; never for longer than one is held
meeting_of() { # HOST JQ-FILTER: its meetings
	punch_status "$1" "[.meetings[] | select($2)] | length"
}
lab_wait 5 '[ "$(meeting_of bob ".state == \"opening\" and .peer == \"alice\" and .port == 9000")" -ge 1 ]'
lab_expect_eq 'punchctl status: the ports that alice is awaited at' \
	"$(punch_status bob '[.meetings[] | select(.peer == "alice") | .port] | unique | join(" ")')" '0 22 9000'
lab_expect_eq 'all of them in, at ports of the agreed range, for 14 s at most' "$(meeting_of bob '.direction == "in" and
	.local_port >= 20000 and .local_port < 32768 and .age_s <= 14 and
	(.remote | test("^(198\\.51\\.100\\.1|203\\.0\\.113\\.30):[23][0-9]{4}$"))')" "$(meeting_of bob true)"
lab_expect_match 'for people' "$(lab_run bob punchctl status)" \
	'meeting from alice port 9000: [a-z]+, from our port [23][0-9]{4} to 198\.51\.100\.1:[23][0-9]{4}, [0-9]+ s'

syns=$(lab_nat_syns natB)
sleep 14
syns=$(($(lab_nat_syns natB) - syns))
lab_expect "bob awaits two peers at three ports, and both refuse his SYNs: $syns in 14 s" test "$syns" -ge 50 -a "$syns" -le 240
lab_expect_eq 'ssh through two NATs without a server' \
	"$(lab_run alice punch ssh "${PUNCH_SSH[@]}" bob echo met 2>"$LAB_DIR/err")" met
lab_expect_eq 'nothing of punch on stderr' "$(cat "$LAB_DIR/err")" ''
lab_expect_eq 'directly' "$(punch_last_path alice)" direct
lab_expect_eq 'alice, who serves nothing, awaits nobody' "$(meeting_of alice true)" 0
lab_expect_match 'to the public address of NAT B, a port of the agreed range' "$(punch_remote alice)" \
	'^198\.51\.100\.2:(2[0-9]|3[0-2])[0-9]{3}$'
lab_expect_eq 'again at once' "$(hello again)" again
lab_note "$(punch_status alice '[.connections[] | select(.direction == "out")] | last | .setup_ms') ms, 40 ms a round trip"
lab_expect_eq 'several at once' "$(for i in 1 2 3 4 5; do hello "$i" & done | sort | tr -d '\n')" 12345
lab_expect_match 'punchctl ping' "$(lab_run alice punchctl ping bob 2>&1 | tail -n 1)" '^bob: direct path to 198\.51\.100\.2:'

lab_expect 'his gateway is asked for no port, which nobody could be told' eval '! pgrep -x punch-mapper --ns "${LAB_PID[bob]}" --nslist net'
lab_expect_match 'and punchctl doctor says so' "$(lab_run bob punchctl doctor)" 'port mapping +off'

# --- bob's network changes: alice goes to the next place, so those that were used must stay so
awaited() { punch_status bob '[.meetings[] | select(.peer == "alice" and .port == 9000) | .local_port] | sort | join(" ")'; }
changes() { grep -c 'addresses or default routes changed' "$PUNCH_LOG_FILE"; }
for _ in 1 2 3; do
	at 15
	said=$(hello before)
	before=$(awaited) count=$(changes)
	lab_ip bob addr add 192.168.1.99/32 dev eth0
	lab_wait 10 "[ \$(changes) -gt $count ]"
	after=$(awaited)
	tenths=$((${EPOCHREALTIME/[.,]/} / 100000 % 100))
	lab_ip bob addr del 192.168.1.99/32 dev eth0
	# All of it in one bucket of his
	[ $tenths -lt 15 ] || [ $tenths -ge 65 ] || break
done
lab_expect_eq 'before his network changes' "$said" before
lab_expect_eq 'his network changes: the next place is held, not one that was used' "$after" "$before"
lab_expect_eq 'and alice comes to it' "$(hello after)" after
unset PUNCH_LOG PUNCH_LOG_FILE

# --- the edge of a bucket, between two clocks
at 93
lab_expect_eq "the caller is in the old bucket, the callee in the new one" "$(hello old)" old
resolver alice +2.0
at 83
lab_expect_eq "the caller is in the new bucket, the callee in the old one" "$(hello new)" new
lab_run alice punchctl stop

# --- quick mode: a word and two addresses, no file
export PUNCH_SECRET='four words of the two'
PUNCH_RENDEZVOUS=none@alice.example lab_bg bob quick punch --as bob socat TCP-LISTEN:7000,fork,reuseaddr EXEC:cat
quick() { echo "$1" | PUNCH_TIMEOUT=$2 lab_run alice punch --secret "$3" --rendezvous none@198.51.100.2 nc -N bob.punch 7000 2>&1; }
lab_expect_eq 'quick mode' "$(quick word 20 "$PUNCH_SECRET")" word
lab_expect_eq 'again at once' "$(quick more 5 "$PUNCH_SECRET")" more
lab_expect_match 'another word does not get in' "$(quick x 3 'the words of two others')" 'did not come to 198.51.100.2 port 7000'
lab_expect_match 'none without an address' "$(PUNCH_RENDEZVOUS=none lab_run alice punchctl ping bob.punch 2>&1;
	PUNCH_RENDEZVOUS=none lab_run alice punch nc bob.punch 7000 2>&1)" 'none@ADDRESS'
unset PUNCH_SECRET

# --- no NAT on one side, and strangers there
lab_expect_eq 'from behind a NAT to a host without one' "$(hello open alice carol)" open
lab_expect_eq 'again, by its name, which was looked up already' "$(hello more alice carol)" more
lab_expect_eq 'from a host without a NAT to one behind it' "$(hello close carol bob)" close
cat >"$LAB_DIR/tap.py" <<'PYTHON'
# The first words of alice on a meeting: what somebody on the way can record
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
print("taps", flush=True)
while True:
    p = s.recv(65536)
    if p[9] != 6 or p[12:16] != socket.inet_aton("198.51.100.1"):
        continue
    t = p[(p[0] & 15) * 4:]
    data = t[(t[12] >> 4) * 4:]
    if 20000 <= int.from_bytes(t[2:4], "big") < 32768 and len(data) > 100:
        print(data.hex(), flush=True)
        break
PYTHON
cat >"$LAB_DIR/strangers.py" <<'PYTHON'
# Everything that listens on carol for meetings is called; nobody may answer
import socket, sys
ports, replay = [int(p) for p in sys.argv[2].split()], bytes.fromhex(sys.argv[1])
heard = 0
for port in ports:
    for words in [b"", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x80" + b"x" * 128, replay]:
        s = socket.create_connection(("203.0.113.30", port), 5)
        s.sendall(words)
        if not words:
            s.shutdown(socket.SHUT_WR)
        s.settimeout(8)
        try:
            heard += len(s.recv(1000))
        except ConnectionResetError:
            pass
        s.close()
print(len(ports) > 0, heard)
PYTHON
lab_bg carol tap python3 "$LAB_DIR/tap.py"
lab_wait_log tap taps
lab_expect_eq 'somebody on the way listens' "$(hello tapped alice carol)" tapped
lab_wait_log tap '^[0-9a-f]{200}'
held() { lab_run carol ss -Hltnp | grep punch-resolver | sed -n 's/.*0\.0\.0\.0:\([23][0-9]*\) .*/\1/p' | xargs; }
at 25 # the ports stay the same for a while
lab_expect_eq 'strangers, and a replay of what was said, hear nothing' \
	"$(lab_run mallory python3 "$LAB_DIR/strangers.py" "$(tail -n 1 "$(lab_log tap)")" "$(held)")" 'True 0'
lab_expect_eq 'and keep nobody out' "$(hello still alice carol)" still

# --- where it cannot work
lab_set natA mapping=address-port port=random
lab_run alice punchctl stop
lab_nat_flush natA
lab_bg alice calling env PUNCH_TIMEOUT=10 punch nc -N bob 9000
lab_wait 8 '[ "$(meeting_of alice ".direction == \"out\" and .state == \"opening\"" 2>/dev/null)" = 1 ]'
a_second_old() { [ "$(meeting_of alice '.age_s >= 1')" = 1 ]; }
lab_wait 5 a_second_old
lab_expect_match 'punchctl status: whom alice is on her way to' "$(lab_run alice punchctl status)" \
	'meeting to bob port 9000: [a-z]+, from our port [23][0-9]{4} to 198\.51\.100\.2:[23][0-9]{4}, [1-9][0-9]* s'
lab_stop calling
why=$(echo x | PUNCH_TIMEOUT=3 lab_run alice punch nc -N bob 9000 2>&1)
lab_expect_match 'a NAT that changes ports: the line says so' "$why" \
	'bob: did not come to 198\.51\.100\.2 port 9000 within 3 s.*NATs that change port numbers need a rendezvous, a firewall must let TCP 20000 to 32767 in$'

# --- nor with a firewall before a host without a NAT; what the manual says of that one helps
lab_do lab_run carol nft -f - <<'NFT'
table inet wall {
	chain input {
		type filter hook input priority 0; policy drop
		iif lo accept
		ct state established,related accept
	}
}
NFT
lab_expect_eq 'a firewall keeps the peer out' "$(export PUNCH_TIMEOUT=3; hello out alice carol)" ''
lab_do lab_run carol nft add rule inet wall input tcp dport "$(sed -n 's/^TCP \([0-9]*\) to \([0-9]*\) in\.$/\1-\2/p' "$LAB_SRC/man/punch.conf.5")" accept
lab_expect_eq 'and lets it in by the ports of the manual' "$(hello in alice carol)" in
sed -i '/^address = 198.51.100.2/d' "$(punch_dir alice)/punch.conf"
lab_run alice punchctl stop
why=$(echo x | PUNCH_TIMEOUT=3 lab_run alice punch nc -N bob 9000 2>&1)
lab_expect_match 'a peer without an address' "$why" '\[peer bob\] has no address'
lab_expect_match 'punchctl doctor knows that no server is wanted' "$(lab_run carol punchctl doctor)" 'rendezvous +none, as configured'
