#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""population.py - hosts behind middleboxes as they are found, and what became of their pairs

    population.py draw ROUNDS SEED [A-B ...]    pairs to try, one a line (nat_worker.sh)
    population.py report RESULTS [SVG]          weighted figures, a matrix, reasons; the matrix as a picture
"""
import math
import random
import sys

# class: share of hosts in percent, options of the lab's NAT (callable: drawn)
CLASSES = {
    "E1": (46, "mapping=endpoint filtering=address-port stray=drop port=preserve"),
    "E2": (9, "mapping=endpoint filtering=address-port stray=rst port=preserve"),
    "E3": (15, "mapping=endpoint filtering=address-port stray=drop port=offset"),
    "E4": (8, lambda r: f"mapping=endpoint filtering={r.choice(['none', 'address'])} stray=drop port=preserve"),
    "S5": (4, "mapping=endpoint filtering=synack stray=drop port=preserve"),
    "Q6": (4, lambda r: f"mapping=address-port filtering=address-port stray=drop port=sequential:{r.randint(1, 5)}"),
    "B7": (5, lambda r: "mapping=address-port filtering=address-port stray=drop "
                        f"port=block:{r.choice([128, 256, 256, 512, 512, 1024, 2048])}"),
    "R8": (6, "mapping=address-port filtering=address-port stray=drop port=random"),
    "X9": (3, "mapping=endpoint filtering=address-port stray=drop port=preserve"),
}


def options(name, rng):
    text = CLASSES[name][1]
    return text(rng) if callable(text) else text


def draw(rounds, seed, only):
    rng = random.Random(seed)
    pairs = [(a, b) for a in CLASSES for b in CLASSES]
    if only:
        pairs = [tuple(p.split("-")) for p in only.split()]
    for _ in range(rounds):
        rng.shuffle(pairs)
        for a, b in pairs:
            # one way between the peers is twice this: 5 to 150 ms
            delay = round(10 ** rng.uniform(math.log10(3), math.log10(75)))
            loss = rng.choice([0, 0, 0, 0.5, 1, 2])
            print(f"{a} {b} {delay} {loss}|{options(a, rng)}|{options(b, rng)}")


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")


def interval(cells, good):
    """Weighted share and half of its 95 % interval, by strata, with (k + 1/2) / (n + 1) in the variance"""
    share = variance = weight = 0
    for (a, b), rows in cells.items():
        w = CLASSES[a][0] * CLASSES[b][0]
        k, n = sum(map(good, rows)), len(rows)
        p = (k + 0.5) / (n + 1)
        share += w * k / n
        variance += w * w * p * (1 - p) / n
        weight += w
    return 100 * share / weight, 196 * math.sqrt(variance) / weight


def colour(p):
    return f"hsl({round(120 * p)}, 60%, 62%)"


def picture(path, cells):
    names = list(CLASSES)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="560" height="590" font-family="sans-serif" font-size="13">',
           '<text x="20" y="24">direct paths in percent; row: caller\'s NAT, column: callee\'s</text>']
    for i, a in enumerate(names):
        out.append(f'<text x="20" y="{82 + 54 * i}">{a}</text>')
        out.append(f'<text x="{74 + 54 * i}" y="50" text-anchor="middle">{a}</text>')
        for j, b in enumerate(names):
            rows = cells.get((a, b), [])
            if not rows:
                continue
            p = sum(r[2] in ("direct", "lan") for r in rows) / len(rows)
            out.append(f'<rect x="{48 + 54 * j}" y="{58 + 54 * i}" width="52" height="44" fill="{colour(p)}"/>')
            out.append(f'<text x="{74 + 54 * j}" y="{84 + 54 * i}" text-anchor="middle">{round(100 * p)}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(out) + "\n")


def report(path, svg):
    cells, reasons = {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = line.split(None, 5)
            cells.setdefault((row[0], row[1]), []).append(row)
            if row[2] == "none":
                reasons.setdefault(row[5].strip() if len(row) > 5 else "no word", []).append(f"{row[0]}-{row[1]}")
    count = sum(map(len, cells.values()))
    print(f"{count} connections, {len(cells)} pairs of classes; direct paths in percent (row: caller)\n")
    print("      " + "".join(f"{b:>6}" for b in CLASSES))
    for a in CLASSES:
        line = f"{a:>6}"
        for b in CLASSES:
            rows = cells.get((a, b))
            line += f"{round(100 * sum(r[2] in ('direct', 'lan') for r in rows) / len(rows)):>6}" if rows else "     -"
        print(line)
    direct = interval(cells, lambda r: r[2] in ("direct", "lan"))
    there = interval(cells, lambda r: r[2] != "none")
    print(f"\ndirect     {direct[0]:6.1f} % +- {direct[1]:.1f}   (weighted by the classes' shares)")
    print(f"connected  {there[0]:6.1f} % +- {there[1]:.1f}")
    for kind in ("direct", "relay"):
        rows = [r for rs in cells.values() for r in rs if r[2] == kind and float(r[4]) > 0]
        trips = [float(r[3]) / float(r[4]) for r in rows]
        print(f"set-up, {kind:7} p50 {quantile(trips, .5):5.1f}  p95 {quantile(trips, .95):5.1f}   "
              f"round trips between the peers (n = {len(rows)})")
    for reason, pairs in sorted(reasons.items(), key=lambda item: -len(item[1])):
        print(f"not connected: {len(pairs)} x {' '.join(sorted(set(pairs)))}: {reason}")
    if svg:
        picture(svg, cells)


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        draw(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "")
    else:
        report(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
