"""A cache of 128 results behind a method call, full early: entries replace each other."""
from functools import lru_cache


@lru_cache(maxsize=128)
def render(page):
    return "<p>%d</p>" % page * 200  #@ cache


def handle(i):
    return len(render(i * 7 % 1000))


def main():
    for i in range(3000):
        handle(i)


main()
