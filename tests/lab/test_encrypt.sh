#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# Payload of programs that do not encrypt: nothing of it is on the wire, on whatever path; either side
# can demand it, and a contradiction is told. Connections die with nothing but the process that carries them.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
LAB_MTU=9000
punch_net port=preserve delay=5ms -- port=preserve delay=5ms
PUNCH_PEERS='alice bob'
punch_servers
punch_conf bob $'[service web]\nport = 8000\n[service open]\nport = 8001\nencrypt = no\n[service private]\nport = 443\nencrypt = yes
[service tls]\nport = 993\n[service echo]\nport = 9000\n[service redis]\nport = 6379\n[service rsync]\nport = 873'
punch_conf alice
mkdir -p "$LAB_DIR/www" "$LAB_DIR/go"
marker=the-quick-brown-fox-jumps-over-the-lazy-dog
for ((i = 0; i < 40000; i++)); do echo "$i $marker"; done >"$LAB_DIR/www/text"
sum=$(sha256sum <"$LAB_DIR/www/text")
for port in 8000 8001 443; do
	lab_bg bob "web$port" punch python3 -m http.server "$port" --directory "$LAB_DIR/www"
done
for port in 9000 993; do
	lab_bg bob "echo$port" punch socat "TCP-LISTEN:$port,fork,reuseaddr" EXEC:cat
done
lab_bg bob redis punch redis-server --port 6379 --save '' --bind 0.0.0.0 --protected-mode no --dir "$LAB_DIR"
printf '%s\n' 'use chroot = no' '[www]' "path = $LAB_DIR/www" >"$LAB_DIR/rsyncd.conf"
lab_bg bob rsyncd punch rsync --daemon --no-detach --config="$LAB_DIR/rsyncd.conf" --ipv4
for port in 8000 8001 443 9000 993 6379 873; do punch_published bob "$port"; done
lab_bg alice sniff python3 "$LAB_SRC/tests/lab/sniff.py" "$LAB_DIR/wire"
lab_wait_log sniff sniffing

cover() { punch_status "$1" "[.connections[] | select(.direction == \"$2\")] | last | .encrypted"; }
fetch() { # PORT [ENV...]: checksum of the text
	local port=$1
	shift
	lab_run alice env "$@" timeout 40 punch curl -s "http://bob:$port/text" | sha256sum
}
seen() { grep -aqF "$marker" "$LAB_DIR/wire" && echo yes || echo no; }

# --- by itself, and over the relay, too
for route in direct relay; do
	: >"$LAB_DIR/wire"
	lab_expect_eq "auto, $route: every byte" "$(fetch 8000 PUNCH_ROUTE=$route)" "$sum"
	lab_expect_eq "auto, $route: it took that path" "$(punch_last_path alice)" "$route"
	lab_expect_eq "auto, $route: nothing is in the clear" "$(seen)" no
	lab_expect_eq "auto, $route: status says so" "$(cover alice out) $(cover bob in)" 'tls-pump tls-pump'
	lab_expect_eq "auto, $route: rsync's own protocol" "$(lab_run alice env PUNCH_ROUTE=$route timeout 40 punch \
		rsync -a rsync://bob/www/text "$LAB_DIR/got" && sha256sum <"$LAB_DIR/got")" "$sum"
	lab_expect_eq "auto, $route: redis" "$(lab_run alice env PUNCH_ROUTE=$route timeout 20 punch bash -c \
		"redis-cli -h bob set fox $marker; redis-cli -h bob get fox")" "OK"$'\n'"$marker"
	lab_expect_eq "auto, $route: still nothing is in the clear" "$(seen)" no
	rm -f "$LAB_DIR/got"
done
lab_expect_match 'status for people' "$(lab_run alice punchctl status)" 'port 8000.*direct path, tls-pump'
[ -z "${ENCRYPT_SHOW:-}" ] || lab_run alice punchctl status

# --- ports that encrypt themselves, and wishes
: >"$LAB_DIR/wire"
lab_expect_eq 'auto on a port that encrypts itself' \
	"$(echo "$marker" | lab_run alice timeout 20 punch nc -N -w 10 bob 993)" "$marker"
lab_expect_eq 'auto on a port that encrypts itself: goes bare' "$(cover alice out) $(seen)" 'bare yes'
: >"$LAB_DIR/wire"
lab_expect_eq 'no: every byte' "$(fetch 8001)" "$sum"
lab_expect_eq 'no: in the clear' "$(cover alice out) $(seen)" 'bare yes'
: >"$LAB_DIR/wire"
lab_expect_eq 'demanded by the service' "$(fetch 443)" "$sum"
lab_expect_eq 'demanded by the service: done' "$(cover alice out) $(seen)" 'tls-pump no'

# --- the caller's wish; its resolver begins anew with a changed file
wish() { sed -i "/^encrypt =/d; s/^\[peer bob\]\$/&\nencrypt = $1/" "$(punch_dir alice)/punch.conf"; }
refused() { # PORT: errno, and what was said
	lab_run alice timeout 20 punch python3 -c '
import errno, socket, sys
try:
    socket.create_connection(("bob", int(sys.argv[1])))
    print("connected")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' "$1" 2>&1 | tr '\n' ' '
}
wish yes
: >"$LAB_DIR/wire"
lab_expect_eq 'demanded by the caller' "$(echo "$marker" | lab_run alice timeout 20 punch nc -N -w 10 bob 993)" "$marker"
lab_expect_eq 'demanded by the caller: done' "$(cover alice out) $(seen)" 'tls-pump no'
lab_expect_match 'demanded here, refused there' "$(refused 8001)" \
	'bob: port 8001: encrypt = yes here and no there; .*\[peer bob\].* ECONNREFUSED'
wish no
lab_expect_match 'refused here, demanded there' "$(refused 443)" \
	'bob: port 443: encrypt = no here and yes there; .*\[peer bob\].* ECONNREFUSED'
: >"$LAB_DIR/wire"
lab_expect_eq 'not wanted by the caller' "$(fetch 8000)" "$sum"
lab_expect_eq 'not wanted by the caller: bare' "$(cover alice out) $(seen)" 'bare yes'
wish auto

# --- OpenSSH's way to get a socket, and a program without the shim
lab_expect_eq 'dial and serve' "$(echo "$marker" | lab_run alice timeout 20 punchctl dial bob 9000)" "$marker"
lab_expect_eq 'dial: encrypted' "$(cover alice out)" tls-pump

# --- nothing answers on a nominated path: the caller begins anew, with other keys, and nothing goes in the clear
there() { pgrep --ns "${LAB_PID[$1]}" --nslist net -x "$2"; }
mapfile -t pumps < <(there bob punch-pump)
kill -STOP "${pumps[@]}"
: >"$LAB_DIR/wire"
lab_run alice punchctl stop # the next one writes the log below
lab_bg alice again env PUNCH_LOG=info PUNCH_LOG_FILE="$(lab_log again-punch)" PUNCH_TIMEOUT=30 \
	punch bash -c "echo $marker | nc -N -w 20 bob 9000"
lab_wait_log again-punch 'direct path, not encrypted: the far end does not answer'
kill -CONT "${pumps[@]}"
lab_wait 20 '! lab_running again'
lab_expect_eq 'a silent path is given up for another' "$(tail -n 1 "$(lab_log again)") $(cover alice out) $(seen)" \
	"$marker tls-pump no"

# --- deaths. Each connection has the pump with the least to do: with two processors these two do not share one.
lab_bg alice first punch python3 "$LAB_SRC/tests/lab/held.py" bob 9000 "$LAB_DIR/go"
lab_wait_log first held
mkdir "$LAB_DIR/go2"
lab_bg alice second punch python3 "$LAB_SRC/tests/lab/held.py" bob 9000 "$LAB_DIR/go2"
lab_wait_log second held
touch "$LAB_DIR/go/1" "$LAB_DIR/go2/1"
lab_wait_log first '1: 1'
lab_wait_log second '1: 1'
for name in resolver keeper pump; do
	lab_expect "punch-$name is confined" punch_confined alice "punch-$name"
done
lab_run bob punchctl stop
for host in alice bob; do
	# A resolver that runs would start another keeper, which starts another resolver
	# shellcheck disable=SC2046
	kill -STOP $(there $host punch-resolver) 2>/dev/null
	# shellcheck disable=SC2046
	kill -KILL $(there $host punch-keeper) $(there $host punch-resolver) 2>/dev/null
done
lab_wait 5 "! [ \"\$(there alice punch-resolver)\" ] && ! [ \"\$(there bob punch-resolver)\" ]"
touch "$LAB_DIR/go/2" "$LAB_DIR/go2/2"
lab_wait_log first '^2:'
lab_wait_log second '^2:'
lab_expect_eq 'connections outlive both resolvers' "$(tail -n 1 "$(lab_log first)") $(tail -n 1 "$(lab_log second)")" '2: 2 2: 2'
mapfile -t pumps < <(there bob punch-pump)
if [ "${#pumps[@]}" -ge 2 ]; then
	kill -KILL "${pumps[0]}"
	touch "$LAB_DIR/go/3" "$LAB_DIR/go2/3"
	lab_wait_log first '^3:'
	lab_wait_log second '^3:'
	lab_expect_eq 'a killed pump takes only its own connections, and they are reset' \
		"$(tail -qn 1 "$(lab_log first)" "$(lab_log second)" | sort | tr '\n' ' ')" '3: 3 3: ECONNRESET '
else
	lab_skip 'a killed pump takes only its own connections' 'one processor, one pump'
fi
lab_stop first
lab_stop second
lab_expect 'pumps leave with their last connection' lab_poll 10 '! there alice punch-pump && ! there bob punch-pump'
