"""Handlers are closures over their request's data, registered under ever new names."""
HANDLERS = {}


def register(i):
    context = {"id": i, "blob": "b" * 700 + str(i)}  #@ leaking

    def handler():
        return context

    HANDLERS["handler-%d" % i] = handler


def main():
    for i in range(500):
        register(i)


main()
