#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The sources keep our own rules of form: licence, lines and files that are not too long, no blanks at ends of lines.
# parallel: yes
exec "$(dirname "$0")/lint" --form
