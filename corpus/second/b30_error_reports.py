"""Errors are caught and their text kept, at most the last twenty."""
import collections
import traceback
LAST = collections.deque(maxlen=20)


def risky(i):
    payload = "p" * 900 + str(i)
    raise ValueError(payload)


def attempt(i):
    try:
        risky(i)
    except ValueError:
        LAST.append(traceback.format_exc())  #@ cache|recycled|minor


def main():
    for i in range(300):
        attempt(i)


main()
