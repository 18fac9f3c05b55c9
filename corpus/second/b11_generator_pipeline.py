"""Three generators, one feeding the next; nothing is kept."""


def numbers(n):
    for i in range(n):
        yield [i] * 300  #@ recycled|minor


def doubled(source):
    for item in source:
        yield item + item  #@ recycled|minor


def main():
    total = 0
    for _ in range(10):
        for item in doubled(numbers(200)):
            total += len(item)
    return total


main()
