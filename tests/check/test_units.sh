#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The systemd units let their servers make every system call that the servers' own sandboxes name, and enter those
# sandboxes: systemd kills who makes another one.  And they give their users the keys and secrets that root has put there.
# parallel: yes
cd "$(dirname "$0")/../.." || exit 1
command -v systemd-analyze >/dev/null || { echo 'SKIP units: no systemd-analyze here' && exit 77; }
. tests/lab/systemd.sh

# Strings of the lists that are system calls here
named() { # FILE...
	calls_of @known | sort -u | comm -12 - <(sed -n '/calls\(_of_all\)*\[\] = {/,/};/p' "$@" | grep -o '"[a-z0-9_]*"' | tr -d '"' | sort -u)
	printf '%s\n' landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
}

failed=0
for server in relay rendezvous; do
	read -ra words < <(sed -n 's/^SystemCallFilter=//p' "conf/systemd/punch-$server.service")
	allowed=$(for word in "${words[@]}"; do calls_of "$word"; done | sort -u)
	wanted=$(named common/sandbox.c "$server/sandbox.c" | sort -u)
	missing=$(comm -23 <(echo "$wanted") <(echo "$allowed") | tr '\n' ' ')
	count=$(wc -l <<<"$wanted")
	if [ "$missing" ] || [ "$count" -lt 60 ]; then
		echo "not ok - punch-$server.service, $count system calls: it kills its server for ${missing:-none, too few to be all}" && failed=1
	else
		echo "ok - punch-$server.service allows all of $count system calls"
	fi
done

if grep -q '^KillMode=process$' conf/systemd/punch-resolver@.service; then
	echo 'ok - punch-resolver: who encrypts for connections that are open outlives it'
else
	echo 'not ok - punch-resolver: systemd ends the pumps of open connections with it' && failed=1
fi

# --- what root has put there, as ExecStartPre= hands it over before each start
if [ "$(id -u)" != 0 ]; then
	echo 'ok - what root has put there # SKIP only root can give files away' && exit $failed
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
owner() { stat -c %u "$1"; }
gives() { # UNIT FOLDER FILE...: as its ExecStartPre says
	local pre file
	pre=$(sed -n 's/^ExecStartPre=-+//p' "conf/systemd/$1.service")
	mkdir -m 700 "$folder/$2"
	chown 65534 "$folder/$2"
	for file in "${@:3}"; do
		install -m 0600 /dev/null "$folder/$2/$file"
		${pre//%S/"$folder"} 2>/dev/null	# the other one may be missing
		if [ "$(owner "$folder/$2/$file")" = 65534 ]; then
			echo "ok - $1: the $file that root has copied becomes the service's"
		else
			echo "not ok - $1: the $file that root has copied stays root's" && failed=1
		fi
		install -m 0600 /dev/null "$folder/other"
		ln -sf ../other "$folder/$2/$file"
		${pre//%S/"$folder"} 2>/dev/null
		if [ "$(owner "$folder/other")" = 0 ]; then
			echo "ok - $1: no other file does, by a link"
		else
			echo "not ok - $1: a link gives the service a file of root's" && failed=1
		fi
		rm -f "$folder/$2/$file" "$folder/other"
	done
}
gives punch-relay punch-relay relay.secret
gives punch-rendezvous punch rendezvous.key relay.secret
exit $failed
