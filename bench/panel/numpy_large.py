import sys

import numpy as np
from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 200
rng = np.random.default_rng(0)
a = rng.random((500, 500))
keep = []
for k in range(N):
    b = a * 2 + k
    c = np.sqrt(b) - a.mean(axis=0)
    d = c[:, ::2].copy()
    e = np.concatenate([d, d], axis=1)
    s = np.sort(e, axis=1)
    for j in range(150):
        v = a[j] * 1.5
        w = v[v > 0.3]
        u = np.cumsum(w)
    if k % 10 == 0:
        keep.append(s)
done()
