"""Every turn of a loop inside one method adds to an attribute of an object that a module holds; half of the turns add nothing."""


class Monitor:
    def __init__(self):
        self.samples = []

    def run(self, turns):
        for i in range(turns):
            value = [i] * 50  #@ recycled|minor
            if i % 2:
                self.samples.append(tuple(value) * 4)  #@ leaking


MONITOR = Monitor()


def main():
    MONITOR.run(1200)


main()
