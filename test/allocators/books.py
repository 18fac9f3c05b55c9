"""Fills and empties the allocators from several threads, writes what they say of themselves, and waits.

It does not fork: on 3.13 and later a forked child said 0.7 MB less than its parent holds (why was not looked into).

usage: books.py OUT: OUT gets mallinfo2's figures, OUT.small what sys._debugmallocstats prints; OUT.ready when both are complete.
"""

import ctypes
import os
import sys
import threading
import time

OUT = sys.argv[1]
FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()


class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in FIELDS]


libc = ctypes.CDLL(None)
mallinfo2 = getattr(libc, "mallinfo2", None)
if mallinfo2 is not None:
    mallinfo2.restype = Mallinfo2

# Objects of every size class, a part of them dropped; buffers of glibc's, small, large and mapped ones.
small = [bytes(i % 450) for i in range(60_000)]
del small[::3]
large = [bytearray(600 + i % 9000) for i in range(3_000)]
del large[::4]
mapped = [bytearray(700_000) for _ in range(5)]
kept = []
done = threading.Barrier(4)
forever = threading.Event()


def work():
    mine = [bytearray(600 + i % 3000) for i in range(2_000)]
    del mine[::2]
    kept.append(mine)
    done.wait()
    forever.wait()


for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
done.wait()

if mallinfo2 is not None:
    info = mallinfo2()
    said = "".join("%s %d\n" % (name, getattr(info, name)) for name in FIELDS)
    os.write(os.open(OUT, os.O_WRONLY | os.O_CREAT, 0o600), said.encode())
os.dup2(os.open(OUT + ".small", os.O_WRONLY | os.O_CREAT, 0o600), 2)
sys._debugmallocstats()
libc.fflush(None)
os.close(os.open(OUT + ".ready", os.O_WRONLY | os.O_CREAT, 0o600))
time.sleep(600)
