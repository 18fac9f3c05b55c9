"""A new thread for every request; each leaves its session in a module's dict."""
import threading
SESSIONS = {}


def request(i):
    SESSIONS[i] = bytearray(3000)  #@ leaking


def main():
    for i in range(300):
        thread = threading.Thread(target=request, args=(i,))
        thread.start()
        thread.join()


main()
