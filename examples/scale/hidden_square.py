"""Records, and a few bits for their pairs: the pairs are a small part at first, and nearly all of it later.

tidegauge scale --to 48000 --limit 1GiB -- examples/scale/hidden_square.py {n}
"""

import sys


def load(n):
    return [bytearray(1024) for _ in range(n)]


def pairs(n):
    matrix = bytearray(n * n // 8)
    for at in range(0, len(matrix), 4096):
        matrix[at] = 1
    return matrix


if __name__ == "__main__":
    records = load(int(sys.argv[1]))
    related = pairs(len(records))
    print(len(records), len(related))
