#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 180
#
# Servers as Debian's units start them, by docs/compatibility.md, "Servers that systemd starts": its files, drop-in and commands
# are taken out of it.  systemd itself does not run here: what of its units can matter to us is done by as_unit() below.
# shellcheck disable=SC2016 # commands are text here

. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'servers drop privileges: needs real root'
command -v systemd-analyze >/dev/null || lab_skip 'no systemd-analyze here'
# shellcheck source=tests/lab/systemd.sh
. "$LAB_SRC/tests/lab/systemd.sh"
DOC=$LAB_SRC/docs/compatibility.md
unset "${!PUNCH_@}"

# --- installed, in a file system from which nothing may be executed but what as_unit() lets
cp -a /etc "$LAB_DIR/etc"
rm -rf "$LAB_DIR/etc/redis" "$LAB_DIR/etc/postgresql" "$LAB_DIR/etc/punch"
lab_do mount --bind "$LAB_DIR/etc" /etc
for place in /usr/local /var/lib /var/log; do
	lab_do mount -t tmpfs -o mode=755 lab "$place"
done
lab_do env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL B="${LAB_BUILD#"$LAB_SRC"/}" make -s -C "$LAB_SRC" -o all install
chmod 755 "$LAB_DIR"
punch_net port=preserve delay=10ms -- port=preserve delay=10ms
lab_server relay 203.0.113.40
echo "${LAB_ADDR[rdv]} rdv.example.org" >>"$LAB_DIR/hosts"

# --- what systemd does
section() { # FILE...: lines of [Service], comments left out
	awk '/^\[/ { on = $0 == "[Service]" } on && /^[A-Z][A-Za-z]*=/' "$@"
}
setting() { # NAME FILE...: all its words; an empty one begins anew
	section "${@:2}" | awk -v name="$1" -F= '$1 == name { value = substr($0, length(name) + 2); all = value == "" ? "" : all " " value }
		END { print all }'
}
allowed_calls() { # FILE...: names, one a line; ~ takes away
	local line word names='' more
	while IFS= read -r line; do
		more=$(for word in ${line#\~}; do calls_of "$word"; done | sort -u)
		case $line in
		'~'*) names=$(comm -23 <(echo "$names") <(echo "$more")) ;;
		*) names=$(sort -u <<<"$names"$'\n'"$more") ;;
		esac
	done < <(section "$@" | sed -n 's/^SystemCallFilter=//p')
	echo "$names"
}
# as_unit HOST NAME UNIT [DROP-IN]: its ExecStart= in the background, as its user and confined as it says; waits until it is ready
as_unit() {
	local host=$1 name=$2 files=("${@:3}") user families calls how=() own=() command folder ready=$LAB_DIR/ready-$2
	user=$(setting User "${files[@]}")
	[ -z "$(setting DynamicUser "${files[@]}")" ] || user=daemon
	user=${user# }
	calls=$LAB_DIR/calls-$name
	allowed_calls "${files[@]}" >"$calls"
	families=$(setting RestrictAddressFamilies "${files[@]}")
	read -ra how <<<"$(setting Environment "${files[@]}")"
	folder=$(setting StateDirectory "${files[@]}")
	if [ "$folder" ]; then
		install -d -o "$user" -m 700 "/var/lib/${folder# }"
		how+=(STATE_DIRECTORY="/var/lib/${folder# }")
	fi
	command=$(section "${files[@]}" | sed -n 's/^ExecStart=//p' | head -n 1)
	how+=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin NOTIFY_SOCKET=/run/notify-"$name" "$LAB_BUILD/lab/confine"
		-f "$(echo "${families# }" | tr ' ' ',')")
	[ ! -s "$calls" ] || [ "$(wc -w <"$calls")" = 0 ] || how+=(-s "$calls")
	[[ $(setting PrivateUsers "${files[@]}") != *true ]] ||
		own=(unshare --user --map-user="$(id -u "$user")" --map-group="$(id -g "$user")")
	[ -z "$(setting NoExecPaths "${files[@]}")" ] || exec_only "$(setting ExecPaths "${files[@]}")"
	lab_bg "$host" "notified-$name" python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
print("bound", flush=True)
while b"READY=1" not in s.recv(4096).split(b"\n"):
    pass
open(sys.argv[2], "w")' "/run/notify-$name" "$ready"
	lab_wait_log "notified-$name" bound
	lab_bg "$host" "$name" setpriv --reuid="$user" --regid="$user" --init-groups --inh-caps=-all "${own[@]}" env -i "${how[@]}" ${command//\$PUNCH_OPTIONS/"${PUNCH_OPTIONS:-}"}
	lab_expect "$name says that it is ready" lab_poll 20 '[ -e '"$ready"' ]'
}
exec_only() { # PATH...: of /usr/local, on bob
	local path
	lab_do lab_run bob mount --bind /usr/local /usr/local
	lab_do lab_run bob mount -o remount,bind,noexec /usr/local
	for path in $1; do
		case $path in
		/usr/local/*)
			lab_do lab_run bob mount --bind "$path" "$path"
			lab_do lab_run bob mount -o remount,bind,exec "$path"
			;;
		esac
	done
}

# --- our own servers
as_unit rdv rendezvous "$LAB_SRC/conf/systemd/punch-rendezvous.service"
PUNCH_SERVER_KEY=$(sed -n 's/^public key: //p' "$(lab_log rendezvous)")
install -D -o daemon -m 600 /var/lib/punch/relay.secret /var/lib/punch-relay/relay.secret
as_unit relay relay "$LAB_SRC/conf/systemd/punch-relay.service"
lab_kill relay KILL # who needs it finds the one of the rendezvous

# --- what the document says: blocks of ```ini, and commands
awk -v dir="$LAB_DIR" '/^## Servers that systemd/ { on = 1; next } /^## / { on = 0 }
	on && /^```ini/ { file = dir "/block" ++n; next } /^```/ { file = "" } file { print >file }
	on && /^    [a-z]/ && !/systemctl/ { print substr($0, 5) >(dir "/commands") }' "$DOC"
filled() { sed "s|(printed by punch-rendezvous)|$PUNCH_SERVER_KEY|; s|(printed by punchctl keygen on alice)|$(punch_key alice)|"; }
grep -q . "$LAB_DIR/block3" || lab_die "$DOC: three blocks are wanted"
published() { # USER PORT
	# not the installed one: nothing is executed from there any more
	lab_poll 20 "[ \"\$(lab_run bob setpriv --reuid=$1 --clear-groups env -i PUNCH_CONF=/etc/punch/$1.conf '$LAB_BUILD/punchctl' status --json |
		jq '.services | any(.port == $2)')\" = true ]"
}
prepare() { # USER NAME PORT: key and file, and the resolver of punch-resolver@USER
	local text
	sed "s/redis/$1/g" "$LAB_DIR/commands" >"$LAB_DIR/commands.$1"
	text=$(lab_run bob bash -e "$LAB_DIR/commands.$1" 2>"$LAB_DIR/keygen.$1") || lab_die "the commands for $1: $(cat "$LAB_DIR/keygen.$1")"
	filled <"$LAB_DIR/block1" | sed "s/redis/$1/g; s/= db\$/= $2/; s/6379/$3/" >"/etc/punch/$1.conf"
	printf '\n[peer %s]\nkey = %s\n' "$2" "$text" >>"$LAB_DIR/peers"
	sed "s/%i/$1/g" "$LAB_SRC/conf/systemd/punch-resolver@.service" >"$LAB_DIR/punch-resolver@$1.service"
	as_unit bob "resolver-$1" "$LAB_DIR/punch-resolver@$1.service"
}
prepare redis db 6379
prepare postgres sql 5432
punch_conf alice "$(cat "$LAB_DIR/peers")"
dial() { lab_run alice timeout 20 punch "$@" 2>&1; }

# --- redis, with the unit that Debian gives it
unit=/lib/systemd/system/redis-server.service
if [ -e "$unit" ]; then
	install -d -o redis /etc/redis /var/lib/redis
	printf '%s\n' 'bind 127.0.0.1' 'requirepass secret' 'dir /var/lib/redis' 'save ""' >/etc/redis/redis.conf
	as_unit bob redis-server "$unit" "$LAB_DIR/block2"
	lab_expect 'redis-server, as confined as its unit: published' published redis 6379
	lab_expect_eq 'and a peer is served' "$(dial redis-cli -h db -a secret --no-auth-warning ECHO hello)" hello
	lab_expect_match 'as itself, not as a program of this host' "$(dial redis-cli -h db -a secret --no-auth-warning CLIENT INFO)" ' addr=239\.19'
	lab_expect_eq 'nothing of ours in its log' "$(grep -c punch "$(lab_log redis-server)")" 0
else
	lab_skip 'redis-server' 'not here'
fi

# --- postgres, by Debian's own way to start it
if command -v pg_ctlcluster >/dev/null && id postgres >/dev/null 2>&1; then
	version=$(basename "$(printf '%s\n' /usr/lib/postgresql/*/bin | tail -n 1 | xargs dirname)")
	install -d -o postgres /etc/postgresql /var/lib/postgresql /var/log/postgresql
	lab_do lab_run bob pg_createcluster --port 5432 "$version" main -- --no-sync
	echo 'host all postgres 239.192.0.0/14 trust' >>"/etc/postgresql/$version/main/pg_hba.conf"
	cat "$LAB_DIR/block3" >>"/etc/postgresql/$version/main/environment"
	lab_do lab_run bob pg_ctlcluster --skip-systemctl-redirect "$version" main start
	lab_expect 'postgres, by pg_ctlcluster: published' published postgres 5432
	lab_expect_eq 'and a peer is served, as itself' "$(dial psql -h sql -U postgres -AtX \
		-c "select client_addr << '239.192.0.0/14' from pg_stat_activity where pid = pg_backend_pid()" postgres)" t
	lab_run bob pg_ctlcluster --skip-systemctl-redirect -m immediate "$version" main stop
else
	lab_skip 'postgres' 'not here'
fi
