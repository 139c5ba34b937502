# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# systemd's names for system calls; source it where systemd-analyze is.
#
# calls_of NAME		a call, or the calls of a group (@system-service), one a line

declare -A SYSTEMD_GROUP
while IFS= read -r line; do
	case $line in
	@*) at=$line ;;
	'    #'* | '#'* | '') ;;
	*) SYSTEMD_GROUP[$at]+=" ${line// /}" ;;
	esac
done < <(systemd-analyze syscall-filter 2>/dev/null)

calls_of() {
	local word
	case $1 in
	@*) for word in ${SYSTEMD_GROUP[$1]}; do calls_of "$word"; done ;;
	*) echo "$1" ;;
	esac
}
