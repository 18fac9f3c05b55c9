# usage: counting.py FILE SIZE...     one thread a size, for ever
#
# Each thread keeps its last 64 objects, so it is known at every step which are alive. After a step it counts it in a file that it shares
# with the test: what the counter says has happened before the kill, and has to be in the recording. Word 63 holds the process id.
import mmap
import os
import sys
import threading

file = open(sys.argv[1], "r+b")
steps = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")
steps[63] = os.getpid()


def work(index, size):
    kept = [None] * 64
    step = 0
    while True:
        kept[step % 64] = bytes(size)
        bytes(size + 1)
        step += 1
        steps[index] = step


sizes = [int(size) for size in sys.argv[2:]]
for index, size in enumerate(sizes[1:], 1):
    threading.Thread(target=work, args=(index, size), daemon=True).start()
work(0, sizes[0])
