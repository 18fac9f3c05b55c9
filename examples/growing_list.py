"""A handler keeps a piece of every request in a list that nobody empties: each call leaves 4 kB behind."""

RECENT = []


def handle(number):
    body = bytes(20_000)
    RECENT.append(body[:4_000])
    return number


def main():
    for number in range(400):
        handle(number)


main()
