"""A generator keeps all that it has handed out in a list of its own: it goes when the generator ends."""


def history(n):
    kept = []
    for i in range(n):
        kept.append(bytearray(2000))  #@ held|undecided
        yield len(kept)


def main():
    for count in history(400):
        pass
    return [str(i) for i in range(500)]


print(len(main()))
