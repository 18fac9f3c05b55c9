"""A weak dictionary: entries go with their last user."""
import weakref


class Image:
    def __init__(self, i):
        self.pixels = bytearray(8000)  #@ recycled


CACHE = weakref.WeakValueDictionary()


def draw(i):
    image = Image(i)
    CACHE[i] = image
    return len(image.pixels)


def main():
    for i in range(600):
        draw(i)


main()
