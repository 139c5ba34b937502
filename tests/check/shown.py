#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which cases are not there?  Reads lines "FILE: CASE", FILE as tests/lab/test_x.sh, and prints those without such a case.

In C a case is what a table of tests names, cmocka_unit_test*(CASE) or a macro around it, and there is a function of that
name. In a shell test it is the label of an expectation, whole or from one ": " to another; what a variable stands for in
the label has to be a word of the file, and more than the variable has to fit.  Exit status: 0 all are there, 1 not so."""

import re
import sys

# The words that begin an expectation: lab.sh's, and those of the shell tests of the other folders
LABEL = re.compile(r"""^\s*(?:lab_expect\w*|fails|check|expect\w*)\s+(?:'([^']*)'|"((?:[^"\\]|\\.)*)")""", re.M)
VARIABLE = re.compile(r"\$(?:\{\w+\}|\w+)")


def in_c(text, case):
    name = re.escape(case)
    return re.search(rf"\b(?:cmocka_unit_test\w*|[A-Z][A-Z_]+)\(\s*{name}\s*[,)]", text) and \
        re.search(rf"^static void {name}\(", text, re.M)


def is_word(text, word):
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text)


def label_fits(text, label, case):
    borders = [at.start() for at in re.finditer(": ", label)]
    for begin in [0] + [at + 2 for at in borders]:
        for end in [at for at in borders if at > begin] + [len(label)]:
            parts = VARIABLE.split(label[begin:end])
            found = re.fullmatch(r"([\w-]+)".join(map(re.escape, parts)), case)
            if re.search(r"\w\w", " ".join(parts)) and found and all(is_word(text, word) for word in found.groups()):
                return True
    return False


def in_shell(text, case):
    return any(label_fits(text, one or two, case) for one, two in LABEL.findall(text))


def is_there(line, texts):
    path, case = line.split(": ", 1)
    if path not in texts:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read()
    return (in_c if path.endswith(".c") else in_shell)(texts[path], case)


TEXTS = {}
MISSING = [line for line in sys.stdin.read().splitlines() if not is_there(line, TEXTS)]
print(*MISSING, sep="\n", end="\n" if MISSING else "")
sys.exit(1 if MISSING else 0)
