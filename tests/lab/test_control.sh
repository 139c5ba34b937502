#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 60
# parallel: yes
#
# NATs that forget a mapping with its first connection, which was the one to a probe port, and refuse
# what comes for a forgotten one: a connection lives on all the same.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
punch_net control=on stray=rst delay=10ms -- control=on stray=rst delay=10ms
punch_servers
punch_conf bob $'[service ssh]\nport = 22' # bare: nothing but the programs speaks
punch_conf alice
lab_bg bob echo punch python3 "$LAB_SRC/tests/lab/echo.py" 22
punch_published bob 22
# Silent until the session's other connections have long been closed. The relay is as near as the peer: it is no way out
late() { lab_poll 1 false; echo late; }
lab_expect_eq 'after a second of silence bytes pass' \
	"$(late | PUNCH_ROUTE=direct lab_run alice timeout 20 punch nc -N -w 8 bob 22 2>&1)" late
lab_expect_eq 'directly' "$(punch_last_path alice)" direct
# ... and when it has ended nothing is kept for it
port=$(sed -n 's/.* 192\.168\.1\.2:\([0-9]*\) - 198\.51\.100\.2:.* > open$/\1/p' "$LAB_DIR/log/nat-natA.log" | tail -n 1)
lab_expect 'its probe connections are given up with it' \
	lab_poll 15 "[ -z \"\$(nsenter -t ${LAB_PID[alice]} --net ss -Htn state established sport = :${port:-none})\" ]"
