"""Sorts records by a key function, which C code calls back thousands of times a turn."""
import random
r = random.Random(1)
ROWS = [(r.random(), "row %d" % i) for i in range(2000)]


def key(row):
    return row[1] + "x" * 40  #@ recycled


def main():
    for _ in range(25):
        best = sorted(ROWS, key=key)  #@ recycled
        len(best)


main()
