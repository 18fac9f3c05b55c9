"""A queue of retries that swings between empty and 60 entries."""
import collections
QUEUE = collections.deque()


def step(i):
    if (i // 60) % 2 == 0:
        QUEUE.append(bytearray(3000))  #@ recycled|cache
    elif QUEUE:
        QUEUE.popleft()


def main():
    for i in range(2400):
        step(i)


main()
