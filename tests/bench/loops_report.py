# SPDX-License-Identifier: MIT
"""loops_report.py FOLDER ROUNDS: tables (Markdown) of what loops.sh has written down

A line of asyncio and node is "TOOL ONE BOTH HELD", of nginx "TOOL SERVED ALL ONE", times in
milliseconds; a run that failed has the tool's name alone.
"""
import statistics
import sys

FOLDER, ROUNDS = sys.argv[1], int(sys.argv[2])
NAMES = {"punch": "punch", "torsocks": "torsocks", "proxychains": "proxychains-ng"}


def lines(name):
    """Tool to a list of its rounds, each a list of numbers, empty when it failed"""
    found = {}
    with open(f"{FOLDER}/{name}", encoding="utf-8") as f:
        for tool, *numbers in map(str.split, f):
            found.setdefault(tool, []).append([float(n) for n in numbers])
    return found


def medians(rounds):
    return [statistics.median(column) for column in zip(*(r for r in rounds if r))]


def pairs(name, title):
    for tool, rounds in lines(name).items():
        if not any(rounds):
            print(f"| {title} | {NAMES[tool]} | fails | | | |")
            continue
        one, both, held = medians(rounds)
        print(f"| {title} | {NAMES[tool]} | {one:.0f} | {both:.0f} | {both / one:.2f} | {held:.0f} |")


print(f"Two connects at once, medians of {ROUNDS} rounds, milliseconds:\n")
print("| program | under | one alone | both at once | ratio | loop held |\n| --- | --- | --- | --- | --- | --- |")
pairs("asyncio", "Python asyncio")
pairs("node", "node")
print(f"\nnginx as upstream client, {ROUNDS} x 40 requests, 20 at a time, milliseconds:\n")
print("| under | served | one alone | all 40 | x twice one |\n| --- | --- | --- | --- | --- |")
for of, runs in lines("nginx").items():
    served, everything, alone = sum(r[0] for r in runs), *medians(runs)[1:]
    ratio = f"{everything / (2 * alone):.2f}" if served == 40 * len(runs) else ""
    print(f"| {NAMES[of]} | {served:.0f} of {40 * len(runs)} | {alone:.0f} | {everything:.0f} | {ratio} |")
