import re
import sys
from collections import Counter

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 45
base = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua "
    * 40
)
rx = re.compile(r"\w+")
keep = []
for k in range(N):
    lines = [base[i % 50 :] + str(i) for i in range(25)]
    c = Counter()
    for ln in lines:
        for w in rx.findall(ln):
            c[w.lower() + str(len(w))] += 1
        toks = [t.strip().title() for t in ln.split(" ")]
        keep.append(" ".join(toks[:50]))
        c.update(toks)
done()
