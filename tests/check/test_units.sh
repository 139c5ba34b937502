#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The systemd units let their servers make every system call that the servers' own sandboxes name, and enter those
# sandboxes: systemd kills who makes another one.
# parallel: yes
cd "$(dirname "$0")/../.." || exit 1
command -v systemd-analyze >/dev/null || { echo 'SKIP units: no systemd-analyze here' && exit 77; }
declare -A group
while IFS= read -r line; do
	case $line in
	@*) at=$line ;;
	'    #'* | '#'* | '') ;;
	*) group[$at]+=" ${line// /}" ;;
	esac
done < <(systemd-analyze syscall-filter 2>/dev/null)

expand() { # @GROUP or NAME: names, one a line
	local word
	case $1 in
	@*) for word in ${group[$1]}; do expand "$word"; done ;;
	*) echo "$1" ;;
	esac
}

# Strings of the lists that are system calls here
named() { # FILE...
	expand @known | sort -u | comm -12 - <(sed -n '/calls\(_of_all\)*\[\] = {/,/};/p' "$@" | grep -o '"[a-z0-9_]*"' | tr -d '"' | sort -u)
	printf '%s\n' landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
}

failed=0
for server in relay rendezvous; do
	read -ra words < <(sed -n 's/^SystemCallFilter=//p' "conf/systemd/punch-$server.service")
	allowed=$(for word in "${words[@]}"; do expand "$word"; done | sort -u)
	wanted=$(named common/sandbox.c "$server/sandbox.c" | sort -u)
	missing=$(comm -23 <(echo "$wanted") <(echo "$allowed") | tr '\n' ' ')
	count=$(wc -l <<<"$wanted")
	if [ "$missing" ] || [ "$count" -lt 60 ]; then
		echo "not ok - punch-$server.service, $count system calls: it kills its server for ${missing:-none, too few to be all}" && failed=1
	else
		echo "ok - punch-$server.service allows all of $count system calls"
	fi
done
exit $failed
