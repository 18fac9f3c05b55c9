"""A merge sort that keeps every level, as n log n, and an index that doubles its table whenever it is full.

tidegauge scale --to 1e6 --limit 1GiB -- examples/scale/doubling.py {n}
"""

import sys
from array import array


def levels(n):
    """Sorted runs of 1, 2, 4, ... values: log2 n arrays of n values each."""
    kept = [array("d", ((i * 7919) % n for i in range(n)))]
    width = 1
    while width < n:
        last = kept[-1]
        merged = array("d")
        for at in range(0, n, 2 * width):
            merged.extend(array("d", sorted(last[at : at + 2 * width])))
        kept.append(merged)
        width *= 2
    return kept


def index(values):
    return {value: place for place, value in enumerate(values)}


if __name__ == "__main__":
    kept = levels(int(sys.argv[1]))
    places = index(kept[-1])
    print(len(kept), len(places))
