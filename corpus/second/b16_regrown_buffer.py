"""One buffer is made larger now and then, as any bytearray is, and emptied again."""
BUFFER = bytearray()


def feed(i):
    BUFFER.extend(b"x" * 500)  #@ recycled|warm-up
    if len(BUFFER) > 50000:
        BUFFER.clear()


def main():
    for i in range(1500):
        feed(i)


main()
