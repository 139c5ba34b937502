#!/bin/bash
# SPDX-License-Identifier: MIT
# Surroundings in which preload libraries break
# parallel: yes
. "$(dirname "$0")/shim.sh"

under "$B/tests/shim/hostile" || status=1
exit $status
