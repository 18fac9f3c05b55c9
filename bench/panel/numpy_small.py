import sys

import numpy as np
from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 300000
x = np.arange(8.0)
y = np.ones(3)
keep = []
for k in range(N):
    z = x * 2.0
    w = z[1:5] + 1
    t = y + k
    if k % 50 == 0:
        keep.append(t)
done()
