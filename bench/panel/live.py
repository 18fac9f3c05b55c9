import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 300000


class P:
    def __init__(s, i):
        s.a = i
        s.b = float(i)
        s.c = "key%d" % i


d = {}
for i in range(N):
    p = P(i)
    d[p.c] = p
lst = [(i, [i]) for i in range(N)]
for k in list(d)[::2]:
    del d[k]
done()
