#!/bin/bash
# SPDX-License-Identifier: MIT
# connect() to a peer, waiting for it and not
# parallel: yes
. "$(dirname "$0")/shim.sh"

ulimit -Sn 64
for program in connect_blocking connect_async connect_odd numbers twice; do
	under "$B/tests/shim/$program" || status=1
done
exit $status
