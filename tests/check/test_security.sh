#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Each promise of docs/security.md names a test that is there.
# parallel: yes
cd "$(dirname "$0")/../.." || exit 1
failed=0
rows=0
cases=()
while IFS= read -r row; do
	rows=$((rows + 1))
	mapfile -t shown < <(grep -oE '`(unit|lab|shim|check|interop|platform)/[a-z_0-9]+: [^`]+`' <<<"$row" | tr -d '`')
	if [ ${#shown[@]} = 0 ]; then
		failed=1
		echo "not ok - a row without a test: ${row:0:70}"
	fi
	for test in "${shown[@]}"; do
		file=${test%%: *} case=${test#*: }
		if [ "${file%%/*}" = check ] && [ "$file" = check/test_fuzz ]; then
			[ -d "tests/fuzz/corpus/${case#fuzz }" ] && continue
		fi
		path=tests/$file.c
		[ -f "$path" ] || path=tests/$file.sh
		if [ -f "$path" ]; then
			cases+=("$path: $case")
		else
			failed=1
			echo "not ok - there is no such test: $test"
		fi
	done
done < <(awk -F'|' '/^\| attack/ { on = 1; getline; next } /^[^|]|^$/ { on = 0 } on' docs/security.md)
# Not a word in the file, but a case that is run
missing=$(printf '%s\n' "${cases[@]}" | python3 tests/check/shown.py) || {
	failed=1
	printf 'not ok - %s: there is no such case\n' "${missing//$'\n'/; }"
}
[ "$rows" -gt 20 ] || { echo "not ok - only $rows rows were found" && failed=1; }
[ "$failed" = 1 ] || echo "ok - each of $rows promises names a test that is there"
exit $failed
