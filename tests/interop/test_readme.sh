#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# timeout: 240
#
# A new user does what README.md says, word for word: the commands are taken out of it and run as they
# stand, on a server and two machines behind NATs, with the installed programs, the real sshd and ssh.
# tests/check/test_readme.sh looks at what is not run here.
# shellcheck disable=SC2016,SC2088 # backquotes and "~" are text here

. "$(dirname "$0")/../lab/lab.sh"
. "$(dirname "$0")/../lab/punch.sh"
lab_begin "$@"
[ "$(awk '{print $3}' /proc/self/uid_map)" -gt 1 ] || lab_skip 'sshd wants real root'
README=$LAB_SRC/README.md
unset "${!PUNCH_@}"

# --- what the machines have before: the programs, installed as README says; an sshd fresh from Debian
for place in /usr/local/bin /usr/local/lib /usr/local/share /etc/ssh; do
	lab_do mount -t tmpfs -o mode=755 lab "$place"
done
lab_expect 'make install' grep -qE 'sudo make install$' "$README"
lab_do env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL B="${LAB_BUILD#"$LAB_SRC"/}" \
	make -C "$LAB_SRC" -o all install
lab_do ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf 'UsePAM no\nSubsystem sftp internal-sftp\n' >/etc/ssh/sshd_config
punch_net port=preserve delay=10ms -- port=preserve delay=10ms
echo "${LAB_ADDR[rdv]} rdv.example.org" >>"$LAB_DIR/hosts"

home() { printf '%s/host/%s/home' "$LAB_DIR" "$1"; }
for host in alice bob; do # ssh and sshd ask passwd where HOME is
	sed "s|^root:\(.*\):[^:]*:\([^:]*\)\$|root:\1:$(home $host):\2|" /etc/passwd >"$LAB_DIR/passwd.$host"
	lab_do lab_run $host mount --bind "$LAB_DIR/passwd.$host" /etc/passwd
	mkdir -m 700 "$(home $host)/.ssh"
done
lab_do ssh-keygen -q -t ed25519 -N '' -f "$(home alice)/.ssh/id_ed25519"
cp "$(home alice)/.ssh/id_ed25519.pub" "$(home bob)/.ssh/authorized_keys"
# A user at a terminal would say "yes" to a new host's key
printf 'StrictHostKeyChecking accept-new\nBatchMode yes\nLogLevel ERROR\n' >"$(home alice)/.ssh/config"

# --- a user's shell on each machine
declare -A exports
shell() { # COMMAND: LAB_ENTER of $host with a login's PATH, and what was exported there before
	USER_SHELL=(env -u LAB_HOST PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		bash -c "cd; ${exports[$host]:-} $1")
}
run() { # COMMAND on $host; what it says goes to "out", bash's $? is its
	shell "$1"
	out=$(lab_run "$host" "${USER_SHELL[@]}" 2>&1 <<<"${2:-}")
}
begin() { # NAME COMMAND: in the background, on $host
	shell "exec $2"
	lab_bg "$host" "$1" "${USER_SHELL[@]}"
}
answers() { # COMMAND: an ssh to bob; its shell is told what to do
	run "$1" 'echo "I am in $HOME"'
	lab_expect_eq "$host\$ $1" "$out" "I am in $(home bob)"
}
files() { # COMMAND: an rsync of dir/
	rm -rf "$(home bob)/dir"
	mkdir -p "$(home alice)/dir/deep" && head -c 3M /dev/urandom >"$(home alice)/dir/deep/file"
	run "$1"
	lab_expect "$host\$ $1${out:+ ($out)}" diff -r "$(home alice)/dir" "$(home bob)/dir"
}
path() { # NAME: which way did alice's last connection take?
	host=alice
	run 'punchctl status --json | jq -r ".connections[-1].path"'
	lab_expect_eq "$1: the path is direct" "$out" direct
}
served() { # COMMAND PORT
	port=$2
	lab_expect "$host\$ $1: published" lab_poll 20 'run "punchctl status --json" &&
		jq -e ".rendezvous[0].state == \"ready\" and (.services | any(.port == '"$port"'))" <<<"$out" >/dev/null'
}
try() { # COMMAND of README on $host
	local port
	case $1 in
	export\ *)
		exports[$host]="$1;"
		;;
	punch-rendezvous*)
		begin rendezvous "$1"
		lab_wait_log rendezvous listening
		server_key=$(sed -n 's/^public key: //p' "$(lab_log rendezvous)")
		lab_expect_match "$host\$ $1: prints its public key" "$server_key" '^[A-Za-z0-9+/]{43}=$'
		for port in 4430 4431 4432 4433; do lab_wait_port "$host" $port; done
		;;
	*sshd\ -i*)
		begin 'sshd-i' "$1"
		served "$1" 22
		;;
	*sshd\ -D*)
		port=22
		[[ $1 != *' -p '* ]] || port=${1##* -p }
		begin "sshd-$port" "$1"
		lab_wait_port "$host" "$port"
		served "$1" "$port"
		;;
	*rsync*) files "$1" ;;
	*ssh*) answers "$1" ;;
	*) lab_fail "$host\$ $1" 'this test does not know such a command' ;;
	esac
}

# --- the six commands. Who types them stands in the line above
host='' count=0
while IFS= read -r line; do
	case $line in
	[1-9].*public\ machine*) host=rdv ;;
	[1-9].*On\ bob*) host=bob ;;
	[1-9].*On\ alice*) host=alice ;;
	'       '[a-z]*)
		count=$((count + 1))
		try "${line#"${line%%[! ]*}"}"
		;;
	esac
done < <(sed -n '/^## Use it/,/^###* With keys/p' "$README")
lab_expect_eq 'they are six commands' $count 6
path 'quick mode'

# --- the service in the place of what was tried: the same key, for alice and bob have it in mind
lab_do mount -t tmpfs -o mode=755 lab /var/lib
lab_stop rendezvous
host=rdv
while IFS= read -r line; do
	case $line in
	*systemctl*) begin service 'env STATE_DIRECTORY=/var/lib/punch punch-rendezvous' ;;
	*)
		run "${line#sudo }"
		lab_expect_eq "rdv\$ $line" "$?$out" 0
		;;
	esac
done < <(sed -n '/^To keep the server/,/^###* With keys/s/^    //p' "$README")
lab_wait_log service listening
lab_expect_eq 'the service has the key that others know' "$(sed -n 's/^public key: //p' "$(lab_log service)")" "$server_key"
host=alice
answers 'punch ssh -p 2222 bob.punch'

# --- with keys, in the same shells
unset_=$(sed -n '/^###* With keys/,/^###* When/s/^    \(unset .*\)$/\1/p' "$README")
for host in alice bob; do
	exports[$host]+=" $unset_;"
done
keygen=$(sed -n '/^###* With keys/,/^###* When/s/^    \(punchctl keygen\)$/\1/p' "$README")
declare -A key
for host in alice bob; do
	run "$keygen 2>/dev/null"
	key[$host]=$out
	lab_expect_match "$host\$ $keygen" "$out" '^[A-Za-z0-9+/]{43}=$'
done
awk -v dir="$LAB_DIR" '/^On alice:|On alice:$/ { who = "alice" } /^On bob:|On bob:$/ { who = "bob" }
	/^```ini/ { file = dir "/sample." who; next } /^```/ { file = "" } file { print >file }' "$README"
for host in alice bob; do
	sed "s|(printed by punch-rendezvous)|$server_key|
		s|(printed by punchctl keygen on alice)|${key[alice]}|
		s|(printed by punchctl keygen on bob)|${key[bob]}|" "$LAB_DIR/sample.$host" >"$(home $host)/.config/punch/punch.conf"
done
while IFS= read -r line; do
	host=${line%%[\$#]*}
	try "${line#*[\$#] }"
done < <(sed -nE '/^###* With keys/,/^###* When/s/^    ((alice|bob)[$#] )/\1/p' "$README")
# As it says, too: punch's sshd in the place of the system's
lab_stop sshd-i
host=bob
try "$(grep -oE '`punch /usr/sbin/sshd -D`' "$README" | tr -d '`')"
host=alice
answers 'punch ssh bob'

path 'with keys'
answers "$(grep -oE '`LD_PRELOAD=[^`]*`' "$README" | tr -d '`')"
proxy=$(grep -oE '`ProxyCommand [^`]*`' "$README" | tr -d '`') pass=$(grep -oE '`ProxyUseFdpass [^`]*`' "$README" | tr -d '`')
answers "ssh -o '$proxy' -o '$pass' bob"

# --- when something does not work
host=alice
while IFS= read -r line; do
	run "$line"
	lab_expect "alice\$ $line" [ $? = 0 -a -n "$out" ]
done < <(sed -nE '/^###* When/,/^## /s/^    (punchctl [a-z ]*[a-z]).*/\1/p' "$README")
