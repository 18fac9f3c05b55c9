"""Each call opens a file and forgets it in a list: the buffers of the files stay."""
import os
OPEN = []


def read(i):
    OPEN.append(open(os.devnull, "rb", buffering=4096))  #@ leaking
    OPEN[-1].read(1)


def main():
    for i in range(200):
        read(i)


main()
