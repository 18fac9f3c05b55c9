import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 30


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


fib(N)


def loop(n):
    s = 0
    for i in range(n):
        s = (s * 31 + i) & 0xFFFF
    return s


loop(4000000)
done()
