"""Names are interned in a module's dict; most of them in the first tenth of the run, a few for ever."""
import random
r = random.Random(2)
NAMES = {}


def intern(i):
    name = "name-%d" % int(r.paretovariate(1.2))
    if name not in NAMES:
        NAMES[name] = name * 100  #@ warm-up|cache|undecided|minor
    return NAMES[name]


def main():
    for i in range(4000):
        intern(i)


main()
