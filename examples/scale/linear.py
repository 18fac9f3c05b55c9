"""A table of measurements: every row takes the same memory, so the peak grows like n.

tidegauge scale --to 1e7 --limit 1GiB -- examples/scale/linear.py {n}
"""

import sys


def read(rows):
    return [(float(i), i * 3) for i in range(rows)]


if __name__ == "__main__":
    table = read(int(sys.argv[1]))
    print(sum(value for value, _ in table))
