#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 90
# parallel: yes
#
# Two NATs that cannot be opened are waited for twice, also after a restart; a direct path is
# taken all the same when there is one. Where both sides have measured that, nothing is waited for.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net filtering=synack delay=10ms -- filtering=synack delay=10ms
punch_servers
punch_conf bob $'[service ssh]\nport = 22'
punch_conf alice
serve() {
	lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 22
	punch_published bob 22
}
# call NAME PATH WHY: what alice's resolver says of it
call() {
	rm -f "$LAB_DIR/said"
	lab_run alice punchctl stop >/dev/null 2>&1
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run alice env PUNCH_LOG=info PUNCH_LOG_FILE="$LAB_DIR/said" \
		timeout 20 punch nc -N -w 15 bob 22 2>&1)" hello
	lab_expect_eq "$1: path" "$(punch_last_path alice)" "$2"
	lab_expect_eq "$1: why" "$(sed -n 's/.*relayed, direct: //p' "$LAB_DIR/said" | head -n 1)" "$3"
	lab_note "$1: $(punch_status alice '.connections[-1].setup_ms') ms"
}
serve
call 'unknown' relay 'no attempt came through'
call 'once may be an accident' relay 'no attempt came through'
call 'known' relay 'nothing has come through lately'
# The callee's memory counts, and it is on the disk by the time a resolver has left
lab_run bob punchctl stop >/dev/null 2>&1
lab_stop echo
serve
call 'known after a restart' relay 'nothing has come through lately'
lab_set natA filtering=address-port
lab_set natB filtering=address-port
call 'opened since' direct ''
lab_set natA filtering=synack
lab_set natB filtering=synack
call 'unknown again' relay 'no attempt came through'

# --- both sides have measured it: their resolvers go on, so the memory is not what makes it fast
measured() { lab_run "$1" punchctl doctor --json | jq -r .nat.filtering; }
for host in alice bob; do
	lab_run $host punchctl stop >/dev/null 2>&1
done
lab_stop echo
for host in alice bob; do
	# What they remember of the network and of each other is another test's
	rm -rf "$LAB_DIR/host/$host/home/.local/state/punch" "$LAB_DIR/host/$host/home/.cache/punch"
done
serve
call 'forgotten' relay 'no attempt came through'
slow=$(punch_status alice '.connections[-1].setup_ms | floor')
for host in alice bob; do
	lab_expect_eq "$host has measured" "$(measured $host)" syn-ack-only
done
again() { # NAME WHY: as call, with the same resolver
	: >"$LAB_DIR/said"
	lab_expect_eq "$1: bytes pass" "$(echo hello | lab_run alice timeout 20 punch nc -N -w 15 bob 22 2>&1)" hello
	lab_expect_eq "$1: path" "$(punch_last_path alice)" relay
	lab_expect_eq "$1: why" "$(sed -n 's/.*relayed, direct: //p' "$LAB_DIR/said" | head -n 1)" "$2"
	fast=$(punch_status alice '.connections[-1].setup_ms | floor')
	lab_note "$1: $fast ms"
}
again 'both measured' "neither side's NAT lets a SYN in"
lab_expect "relayed after $fast ms, $slow ms before" test "$fast" -lt 500 -a "$slow" -gt 2000
call 'alice only remembers what she measured' relay 'no attempt came through'

# --- a NAT that answers is studied before its distance is known: a remembered one does not decide either
lab_set natA stray=rst time-exceeded=off
lab_set natB stray=rst time-exceeded=off
lab_run inet nft -f - <<-'NFT'
	table ip mute { chain out { type filter hook output priority 0; icmp type time-exceeded drop; }; }
NFT
for host in alice bob; do
	lab_run $host punchctl stop >/dev/null 2>&1
done
lab_stop echo
serve
call 'nobody has measured' relay 'nothing has come through lately'
for host in alice bob; do
	lab_expect_eq "$host seems to have measured" "$(measured $host)" syn-ack-only
	lab_wait 5 "[ \"\$(lab_run $host punchctl doctor --json | jq -r .nat.hops)\" = null ]"
done
again 'by a remembered distance' 'nothing has come through lately'
