import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 100


def work(r):
    out = []
    for i in range(6000):
        d = {"id": i, "name": "n%d" % i, "vals": [i, i + 1.5, str(i)]}
        out.append(d)
    s = 0
    for d in out:
        t = (d["id"], d["name"].upper(), [x for x in d["vals"]])
        s += len(t[1])
    keep = [x["name"] for x in out if x["id"] % 3 == 0]
    return keep


res = []
for r in range(N):
    res.append(work(r)[:200])
done()
