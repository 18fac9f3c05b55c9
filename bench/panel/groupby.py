import random
import sys
from collections import defaultdict

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 120000
random.seed(1)
rows = [
    {"city": "city%d" % (random.randrange(500)), "year": 2000 + i % 20, "v": random.random(), "w": i} for i in range(N)
]
g = defaultdict(list)
for r in rows:
    g[(r["city"], r["year"])].append(r)
out = []
for k, v in g.items():
    vs = sorted(x["v"] for x in v)
    n = len(vs)
    out.append({"key": k, "n": n, "mean": sum(vs) / n, "med": vs[n // 2], "sum": sum(x["w"] for x in v)})
out.sort(key=lambda r: (-r["mean"], r["key"]))
t = [(r["city"], r["year"], r["v"] * 2) for r in rows]
t.sort()
p = defaultdict(dict)
for c, y, v in t:
    p[c][y] = p[c].get(y, 0) + v
for rep in range(3):
    joined = [{**r, "mean": p[r["city"]][r["year"]]} for r in rows]
done()
