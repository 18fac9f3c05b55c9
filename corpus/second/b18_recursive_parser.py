"""A recursive descent parser: nodes outlive the calls that make them until the tree is dropped."""


def parse(depth):
    if depth == 0:
        return ["leaf"] * 20  #@ recycled
    return [parse(depth - 1), parse(depth - 1)]


def main():
    for _ in range(20):
        tree = parse(8)
        len(tree)


main()
