import json
import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
doc = {
    "users": [
        {
            "id": i,
            "name": "user number %d" % i,
            "score": i * 0.37,
            "tags": ["t%d" % (j % 97) for j in range(i, i + i % 5)],
            "addr": {"street": "street %d" % (i % 1000), "zip": "%05d" % (i % 99999)},
            "active": i % 3 == 0,
        }
        for i in range(N)
    ]
}
s = json.dumps(doc)
o = json.loads(s)
s2 = json.dumps(o, indent=1, sort_keys=True)
o2 = json.loads(s2)
assert len(o2["users"]) == N and o2 == o
done()
