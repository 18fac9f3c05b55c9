"""A class is made in every call and remembered by its base's list of subclasses, through a cycle that a list keeps."""
MADE = []


class Base:
    pass


def make(i):
    MADE.append(type("Dynamic%d" % i, (Base,), {"data": "d" * 1000}))  #@ leaking
    return i


def main():
    for i in range(250):
        make(i)


main()
