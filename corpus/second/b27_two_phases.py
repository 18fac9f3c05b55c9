"""A first phase fills a list and a second works it off: at the end nothing is left."""


def fill(items):
    for i in range(1000):
        items.append(bytes(1500))  #@ held|recycled


def drain(items):
    done = 0
    while items:
        items.pop()
        done += len(str(done))
    return done


def main():
    items = []
    fill(items)
    return drain(items)


main()
