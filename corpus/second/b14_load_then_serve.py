"""A table is loaded row by row, then a thousand requests are served from it: growth that ended."""
TABLE = {}


def load():
    for i in range(2000):
        TABLE[i] = "value %d" % i * 20  #@ held


def serve(i):
    answer = TABLE[i % 2000] * 30  #@ recycled
    return len(answer)


def main():
    load()
    for i in range(6000):
        serve(i)


main()
