"""A moving window of the newest hundred values, kept by slicing."""


def main():
    window = []
    total = 0
    for i in range(3000):
        window.append("%d" % i * 100)  #@ cache|recycled
        window = window[-100:]
        total += len(window)
    return total


main()
