import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 16


class Node:
    __slots__ = ("l", "r")

    def __init__(s, l, r):
        s.l = l
        s.r = r


def make(d):
    if d == 0:
        return Node(None, None)
    return Node(make(d - 1), make(d - 1))


def check(n):
    if n.l is None:
        return 1
    return 1 + check(n.l) + check(n.r)


longlived = make(N)
for d in range(4, N, 4):
    it = 1 << (N - d + 1)
    c = 0
    for i in range(it):
        c += check(make(d))
assert check(longlived)
done()
