import queue
import sys
import threading
import zlib

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 170
q = queue.SimpleQueue()


def prod(k):
    for r in range(N):
        items = [{"k": k, "i": i, "s": "x%d" % i} for i in range(1500)]
        q.put(items)
        zlib.compress(b"abc%d" % r * 5000, 1)


def cons(n, res):
    for _ in range(n):
        it = q.get()
        res.append(sum(len(x["s"]) for x in it))
        it = None


res = []
ps = [threading.Thread(target=prod, args=(k,)) for k in range(4)]
cs = [threading.Thread(target=cons, args=(2 * N, res)) for k in range(2)]
for t in ps + cs:
    t.start()
for t in ps + cs:
    t.join()
done()
