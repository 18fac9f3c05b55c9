"""Allocates in many ways, each on a line of its own, keeps some of it, and says what tracemalloc saw.

CPython keeps freed lists, tuples, dicts and floats for their next user. tracemalloc re-dates such an object when it is used again; the
allocator, and so Tidegauge, never hears of it. So that both count the same, nothing of these types is freed here once drain()
has emptied the lists.

usage: workload.py [REPORT]: with a report file tracemalloc has to run (-X tracemalloc=10), and what it says about every line of this
file is written there as JSON: {line: [bytes, blocks]}. Leaves by os._exit, so that "live at the end" means the same for every observer."""

import array
import json
import os
import sys



class Slotted:
    __slots__ = ("left", "right")


def drain():
    """Takes more than CPython ever keeps of each type."""
    lists = [[] for _ in range(3000)]
    tables = [{i: i} for i in range(3000)]
    floats = [i + 0.5 for i in range(3000)]
    tuples = [tuple(range(length)) for length in range(1, 21) for _ in range(3000)]
    integers = list(range(2000, 5000))
    # Some are left for what only passes by: arguments in a tuple, counts.
    del tuples[::500]
    del integers[::100]
    return lists, tables, floats, tuples, integers


def objects(n):
    for i in range(n):
        keep(Slotted())
        keep(str(i) * 3)
        keep(b"%d" % i)


def integers(n):
    for i in range(n):
        keep(10**40 << i)


def floats(n):
    for i in range(n):
        keep(i * 1.25)


def lists(n):
    for size in range(n):
        keep(list(bytes(size)))
    grown = []
    keep(grown)
    for _ in range(20000):
        grown.append(None)
    shrunk = list(bytes(50000))
    keep(shrunk)
    del shrunk[100:]


def tables(n):
    for _ in range(n):
        keep(TABLE.copy())
        keep(set(TABLE))
    table = {}
    keep(table)
    for i in range(200):
        table[i] = None
    for i in range(0, 200, 2):
        del table[i]


def buffers(n):
    for size in range(n):
        keep(bytes(size))
        keep(bytearray(size))
    for size in range(0, 300_000, 5000):
        keep(array.array("d", bytes(size)))
    stretched = bytearray()
    keep(stretched)
    for _ in range(200):
        stretched += b"x" * 300
    shrunk = bytearray(100_000)
    keep(shrunk)
    del shrunk[10:]


def texts(n):
    for i in range(n):
        keep("x" * i + "y")
        keep("\u00e4" * i + "z")
        keep("\U0001f40d" * i + "z")
        keep(str(i).zfill(40).replace("0", "--"))


def passing(n):
    for i in range(n):
        bytes(i)
        str(i) * 5
        set("abc%d" % i)


TABLE = dict.fromkeys(map(chr, range(1000, 1100)))
DRAINED = drain()
KEPT = []
keep = KEPT.append


def main():
    objects(250)
    integers(200)
    floats(250)
    lists(60)
    tables(10)
    buffers(600)
    texts(150)
    passing(2000)
    # What dies after the last own birth counts as alive at the end.
    keep(bytes(700))


def report(path):
    # The raw traces: tracemalloc's own classes take seconds for so many. A raw traceback has its newest frame first.
    from _tracemalloc import _get_traces

    lines = {}
    for _, size, frames, *_ in _get_traces():
        # The site: the innermost frame in this file.
        site = next((line for file, line in frames if file == __file__), None)
        if site is not None:
            total = lines.setdefault(site, [0, 0])
            total[0] += size
            total[1] += 1
    with open(path, "w") as out:
        json.dump(lines, out)


main()
if len(sys.argv) > 1:
    report(sys.argv[1])
os._exit(0)
