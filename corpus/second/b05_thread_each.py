"""A new thread for every request; the request's data goes with it."""
import threading


def request(i):
    data = bytearray(30000)  #@ recycled
    return len(data) + i


def main():
    for i in range(200):
        thread = threading.Thread(target=request, args=(i,))
        thread.start()
        thread.join()


main()
