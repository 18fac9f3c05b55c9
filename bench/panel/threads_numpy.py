import sys
import threading

import numpy as np
from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 60


def work(seed, out):
    rng = np.random.default_rng(seed)
    a = rng.random(400_000)
    keep = []
    for k in range(N):
        b = a * (k + 1.0)
        c = np.sqrt(b) + np.roll(a, k)
        d = np.sort(c[:100_000])
        if k % 10 == 0:
            keep.append(d)
        for j in range(40):
            e = a[j * 1000 : (j + 1) * 1000] * 2.0
    out.append(sum(float(x[0]) for x in keep))


out = []
ts = [threading.Thread(target=work, args=(i, out)) for i in range(4)]
for t in ts:
    t.start()
for t in ts:
    t.join()
done()
