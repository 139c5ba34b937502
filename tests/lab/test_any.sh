#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# "punch --any": static programs, and programs in Go, as clients and servers behind NATs, direct and relayed.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
go=$LAB_BUILD/tests/any/go fixed=$LAB_BUILD/tests/any/fixed
[ -x "$go" ] || lab_skip 'no go here to build a Go program with'
[ -x "$fixed" ] || lab_skip 'no musl-gcc here to build a static program with'
lab_begin "$@"
punch_net port=preserve delay=12ms -- port=preserve delay=12ms
punch_servers
punch_conf alice
punch_conf bob '
[service go]
port  = 9000
allow = *
[service fixed]
port  = 9001
allow = *
[service ssh]
port  = 22
allow = *'
lab_bg bob go punch --any "$go" serve :9000 "$LAB_DIR/seen"
lab_wait_port bob 9000
lab_bg bob fixed punch --any "$fixed" serve 9001
lab_wait_port bob 9001
punch_sshd bob
for port in 9000 9001 22; do punch_published bob $port; done

any() { lab_run alice timeout 60 punch --any "$@" 2>&1; }
alice_slot=$(lab_run bob punch python3 -c 'import socket; print(socket.gethostbyname("alice"))')
bob_slot=$(lab_run alice punch python3 -c 'import socket; print(socket.gethostbyname("bob"))')

for route in direct relay; do
	export PUNCH_ROUTE=$route
	lab_expect_eq "$route: Go to Go, 1 MB back and forth" "$(any "$go" dial bob:9000 1 1000000)" "1 $bob_slot:9000"
	lab_expect_eq "$route: that was its path" "$(punch_last_path alice)" $route
	lab_expect_eq "$route: Go, forty at once" "$(any "$go" dial bob:9000 40 1000)" "40 $bob_slot:9000"
	lab_expect_eq "$route: Go to musl: both see the other" "$(any busybox nc bob 9001 </dev/null)" "$alice_slot $alice_slot"
	lab_expect_eq "$route: musl to Go, blocking" "$(any "$fixed" dial bob 9000)" "$bob_slot hello"
	lab_expect_eq "$route: a dynamic client of the Go server" "$(echo hi | lab_run alice timeout 20 punch nc -N bob 9000)" hi
	lab_expect_eq "$route: Go runs ssh" "$(any "$go" run ssh "${PUNCH_SSH[@]}" bob 'echo $((6 * 7)); echo ${SSH_CONNECTION%% *}')" \
		$'42\n'"$alice_slot"
done
export PUNCH_ROUTE=auto
lab_expect_eq 'the Go server saw its peer alone' "$(cut -d: -f1 "$LAB_DIR/seen" | sort -u)" "$alice_slot"
lab_expect_eq 'a port with no service: refused' "$(any "$go" dial bob:9009 | tail -n 1)" 'connection refused'
lab_stop go
lab_stop fixed
lab_expect 'the supervisors end with their programs' lab_wait 10 '! lab_run bob pgrep -x punch-any'

# Without privilege, and in quick mode: the name is on the command line, or in the environment
word='correct horse battery staple'
mkdir "$LAB_DIR/bin" && chmod 755 "$LAB_DIR" "$LAB_DIR/bin" # the build folder may be closed to others
cp "$LAB_BUILD"/{punch,libpunch.so,punch-resolver} "$go" "$LAB_DIR/bin"
go=$LAB_DIR/bin/go
nobody=(env HOME=/nonexistent)
[ "$(awk '{print $3}' /proc/self/uid_map)" = 1 ] || nobody+=(setpriv --reuid=65534 --regid=65534 --clear-groups)
lab_bg bob quick "${nobody[@]}" "$LAB_DIR/bin/punch" --secret "$word" --as bob --rendezvous rdv --any "$go" serve :9002
lab_wait_port bob 9002
quick() { lab_run alice "$@" 2>&1; }
client=("${nobody[@]}" timeout 30 "$LAB_DIR/bin/punch" --secret "$word" --rendezvous rdv --any)
reaches() { [[ $(quick "${client[@]}" "$go" dial bob.punch:9002) = '1 239.19'?.*.*:9002 ]]; }
lab_expect 'quick mode, nobody to nobody: by a name of the command line' lab_wait 20 reaches
lab_expect_match 'quick mode: by a name of the environment' \
	"$(quick env UPSTREAM=http://bob.punch:9002/ "${client[@]}" sh -c "\"$go\" dial \"bob.pun\"ch:9002")" '^1 239\.19[2-5]\.'
