#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every input that a fuzz target has found worth keeping, seeds and former crashes among them, once more under the
# address and undefined-behaviour sanitizers. `make fuzz` searches for new ones.
# timeout: 400
# parallel: yes
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
command -v clang >/dev/null || { echo "SKIP fuzz: no clang"; exit 77; }
unshare -rn true 2>/dev/null || { echo "SKIP fuzz: no user namespaces here"; exit 77; }
if ! out=$(make --no-print-directory B="$B" fuzz-replay-build 2>&1); then
	echo "not ok - the fuzz targets build"
	tail -n 20 <<<"$out" | sed 's/^/# /'
	exit 1
fi
echo "ok - the fuzz targets build"
B=$B/fuzz exec tests/fuzz/run -r
