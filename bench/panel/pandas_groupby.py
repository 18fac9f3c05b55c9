import sys

import numpy as np
import pandas as pd
from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
R = int(sys.argv[2]) if len(sys.argv) > 2 else 1
rng = np.random.default_rng(7)
df = pd.DataFrame(
    {"k": rng.integers(0, 5000, N), "c": rng.integers(0, 50, N), "v": rng.random(N), "w": rng.integers(0, 1000, N)}
)
df["name"] = df["c"].map(lambda i: "city%d" % i)
for r in range(R):
    g = df.groupby(["k", "c"]).agg(v=("v", "mean"), w=("w", "sum")).reset_index()
    m = df.merge(g, on=["k", "c"], suffixes=("", "_g"))
    p = m.pivot_table(index="k", columns="c", values="v_g", aggfunc="mean")
done()
