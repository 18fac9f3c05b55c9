"""A signal object to which every request adds a bound method and never takes it away."""


class Signal:
    def __init__(self):
        self.receivers = []


SIGNAL = Signal()


class Request:
    def __init__(self, body):
        self.body = body

    def done(self):
        return len(self.body)


def handle(i):
    request = Request(b"%d" % i * 900)  #@ leaking
    SIGNAL.receivers.append(request.done)


def main():
    for i in range(400):
        handle(i)


main()
