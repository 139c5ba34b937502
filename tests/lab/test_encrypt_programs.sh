#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
# parallel: yes
#
# Programs with ways of their own over an encrypted connection: a database whose client opens a second one to cancel
# the first, and programs that are passed the socket. What they say is never on the wire as they said it.
. "$(dirname "$0")/lab.sh"
. "$(dirname "$0")/punch.sh"
lab_begin "$@"
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'sshd and postgres want real root'
LAB_MTU=9000
punch_net port=preserve delay=5ms -- port=preserve delay=5ms
lab_host carol natB 192.168.1.3
punch_servers
punch_conf bob $'[service echo]\nport = 9000\n[service private]\nport = 443\n[service ssh]\nport = 2222'
punch_conf carol $'[service postgres]\nport = 5432'
punch_conf alice
marker=the-quick-brown-fox-jumps-over-the-lazy-dog
W=$LAB_DIR/work
mkdir -p "$W" "$LAB_DIR/bin"
chmod 755 "$LAB_DIR" "$W"
lab_bg alice sniff python3 "$LAB_SRC/tests/lab/sniff.py" "$LAB_DIR/wire"
lab_wait_log sniff sniffing

cover() { punch_status alice '[.connections[] | select(.direction == "out")] | last | .encrypted'; }
seen() { grep -aqF -- "$1" "$LAB_DIR/wire" && echo yes || echo no; }
on_wire() { stat -c %s "$LAB_DIR/wire"; }

# --- postgres, as an ordinary user, who may be unable to read the folder that we were built in
PGBIN=$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1)
if [ -x "$PGBIN/initdb" ]; then
	cp "$LAB_BUILD"/{punch,libpunch.so,punch-resolver,punchctl} "$LAB_DIR/bin/"
	chown -R 65534:65534 "$LAB_DIR"/host/carol/{home,xdg}
	nobody=(env PATH="$LAB_DIR/bin:$PATH" setpriv --reuid=65534 --regid=65534 --clear-groups)
	install -d -o 65534 -g 65534 -m 700 "$W/pg"
	(cd / && "${nobody[@]}" "$PGBIN/initdb" -D "$W/pg" -U postgres --no-sync -E UTF8 --locale=C >"$(lab_log initdb)" 2>&1) ||
		lab_die 'initdb fails'
	echo 'host postgres postgres 239.192.0.0/14 trust' >"$W/pg/pg_hba.conf"
	lab_bg carol postgres "${nobody[@]}" punch "$PGBIN/postgres" -D "$W/pg" -c listen_addresses=0.0.0.0 \
		-c unix_socket_directories= -c log_connections=on
	lab_wait 20 "lab_run carol ${nobody[*]@Q} punchctl status --json 2>/dev/null | jq -e '
		.rendezvous[0].state == \"ready\" and any(.services[]; .port == 5432)' >/dev/null"
	psql() { lab_run alice env PGHOST=carol PGUSER=postgres timeout 60 punch psql -AtqX "$@"; }

	lab_expect_eq 'postgres: a query' "$(psql -c "select 'the-quick-brown' || '-fox-jumps-over-the-lazy-dog', sum(n)
		from generate_series(1, 10000) n")" "$marker|50005000"
	lab_expect_eq 'postgres: by itself encrypted' "$(cover)" tls-pump
	for ((i = 1; i <= 100000; i++)); do echo "$i,$marker"; done >"$W/in"
	before=$(on_wire)
	psql -c 'create table t (n int primary key, line text)' -c "\\copy t from $W/in csv" -c "\\copy t to $W/out csv"
	lab_expect 'postgres: a copy of 5 MB either way' cmp "$W/in" "$W/out"
	lab_wait 10 '[ $(($(on_wire) - before)) -gt 9000000 ]'
	lab_expect_eq 'postgres: nothing of both is in the clear' "$(seen "$marker")" no

	# The cancel goes over a connection of its own, with the server's key for it
	psql -c 'select pg_sleep(50)' >"$W/cancelled" 2>&1 &
	client=$!
	sleeping="select count(*) from pg_stat_activity where state = 'active' and query = 'select pg_sleep(50)'"
	lab_wait 20 '[ "$(psql -c "$sleeping")" = 1 ]'
	count() { punch_status alice '[.connections[] | select(.direction == "out" and .encrypted == "tls-pump")] | length'; }
	before=$(count)
	kill -INT "$(pgrep --ns "${LAB_PID[alice]}" --nslist net -x psql)"
	wait "$client"
	lab_expect_eq 'postgres: a query is cancelled' "$(cat "$W/cancelled")" \
		$'Cancel request sent\nERROR:  canceling statement due to user request'
	lab_expect_eq 'postgres: the cancel was encrypted, too' "$(($(count) - before))" 1
	lab_expect_eq 'postgres: and nothing is in the clear' "$(seen pg_sleep)" no
else
	lab_skip postgres 'package postgresql-15 missing'
fi

# --- a socket that is passed
lab_bg bob echo9000 punch socat TCP-LISTEN:9000,fork,reuseaddr EXEC:cat
lab_bg bob echo443 punch socat TCP-LISTEN:443,fork,reuseaddr EXEC:cat
punch_published bob 9000
punch_published bob 443
passed() { lab_run alice timeout 40 python3 "$LAB_SRC/tests/lab/passed.py" bob "$1" "$marker" 2>&1; }
whole=$'dial 0\nSOCK_STREAM blocking\n'$marker
: >"$LAB_DIR/wire"
lab_expect_eq 'passed on a port that encrypts itself: works' "$(passed 443)" "$whole"
lab_expect_eq 'passed on a port that encrypts itself: bare' "$(cover)" bare
sed -i 's/^\[peer bob\]$/&\nencrypt = yes/' "$(punch_dir alice)/punch.conf"
for port in 443 9000; do
	lab_expect_eq "passed, encrypt = yes, port $port: works" "$(passed "$port")" "$whole"
	lab_expect_eq "passed, encrypt = yes, port $port: encrypted" "$(cover)" tls-pump
done

# --- OpenSSH takes it in the same way; what it says before it encrypts is not seen either
dir=$LAB_DIR/host/bob/sshd
mkdir -p "$dir" /run/sshd
ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
printf '%s\n' "HostKey $dir/host_key" "AuthorizedKeysFile $dir/key.pub" 'StrictModes no' 'UsePAM no' \
	'PermitRootLogin yes' 'PidFile none' >"$dir/sshd_config"
lab_bg bob sshd punchctl serve --inetd 2222 -- /usr/sbin/sshd -i -e -f "$dir/sshd_config"
punch_published bob 2222
head -c 5M /dev/urandom >"$W/data"
: >"$LAB_DIR/wire"
lab_expect_eq 'ssh, ProxyUseFdpass: 5 MB' "$(lab_run alice timeout 60 ssh -i "$dir/key" -p 2222 -o BatchMode=yes \
	-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ProxyUseFdpass=yes \
	-o 'ProxyCommand=punchctl dial --fdpass %h %p' bob 'cat; true' <"$W/data" | sha256sum)" "$(sha256sum <"$W/data")"
lab_expect_eq 'ssh, ProxyUseFdpass: encrypted' "$(cover)" tls-pump
lab_expect_eq 'ssh, ProxyUseFdpass: its greeting is not in the clear' "$(seen SSH-2.0)" no
lab_wait 10 '[ "$(on_wire)" -gt 10000000 ]' # and the sniffer saw it all
