import json
import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 35
doc = [
    {
        "id": i,
        "tags": ["a%d" % j for j in range(i % 7)],
        "pos": {"x": i * 1.5, "y": -i},
        "name": "user number %d" % i,
        "ok": i % 2 == 0,
        "none": None,
    }
    for i in range(4000)
]
keep = []
for k in range(N):
    s = json.dumps(doc)
    o = json.loads(s)
    if k % 8 == 0:
        keep.append(o)
done()
