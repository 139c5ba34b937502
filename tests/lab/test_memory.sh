#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 90
# parallel: yes
#
# Two NATs that cannot be opened are waited for twice, also after a restart; a direct path is
# taken all the same when there is one.
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
