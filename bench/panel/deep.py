import sys

from last_line import done

sys.setrecursionlimit(20000)
N = int(sys.argv[1]) if len(sys.argv) > 1 else 700


def rec(d, acc):
    x = [d, str(d)]
    if d == 0:
        return 1
    r = rec(d - 1, x)
    return r + len(x)


for i in range(N):
    rec(900, None)


def rec2(d):
    buf = bytes(2000)
    if d == 0:
        return 0
    return rec2(d - 1) + len(buf)


for i in range(N // 10):
    rec2(900)
done()
