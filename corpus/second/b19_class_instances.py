"""Objects made by a class, linked in a list of the running frame and dropped at its end."""


class Point:
    def __init__(self, x):
        self.x = x
        self.extra = [x] * 30  #@ recycled


def work():
    points = [Point(i) for i in range(200)]
    return len(points)


def main():
    for _ in range(100):
        work()


main()
