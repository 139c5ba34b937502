#!/bin/bash
# SPDX-License-Identifier: MIT
# timeout: 400
# parallel: yes
#
# The quick part of other people's test suites says the same without and with the preload library. All of
# it is `make test-foreign`.

cd "$(dirname "$0")/../.." || exit 1
B=${LAB_BUILD:-$PWD/build} exec tests/foreign/run --quick --variant valid
