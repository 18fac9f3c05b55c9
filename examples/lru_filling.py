"""A cache with a bound that this run does not reach: it grows with every new key, and would stop at 64 entries."""

import functools


@functools.lru_cache(maxsize=64)
def table(key):
    return [key] * 10_000


def main():
    for key in range(48):
        table(key)


main()
