"""Objects of types of their own, each kept alive in another way; the test asks for each by its type."""

import collections
import contextvars
import functools
import sys
import threading
import time
import weakref


def marker(name):
    return type(name, (), {})()


in_module = marker("InModule")


class Holder:
    in_class = marker("InClass")

    @functools.lru_cache(maxsize=None)
    def cached(self):
        return 1


def closure():
    captured = marker("InClosure")

    def inner():
        return captured

    return inner


inner = closure()


def generate():
    suspended = marker("InGenerator")
    yield 1
    return suspended


generator = generate()
next(generator)


class Listener:
    def __init__(self):
        self.state = marker("InBoundMethod")

    def notify(self):
        pass


callbacks = [Listener().notify]

Key = type("CacheKey", (Holder,), {})
Key().cached()

in_slots = type("Slotted", (), {"__slots__": ("value",)})()
in_slots.value = marker("InSlot")

queue = collections.deque([marker("InDeque")], maxlen=10)

variable = contextvars.ContextVar("variable")
variable.set(marker("InContextVar"))


def fail():
    failing = marker("InTraceback")
    raise ValueError(failing is None)


try:
    fail()
except ValueError as error:
    kept_error = error

weak = weakref.WeakValueDictionary()
weak["gone"] = marker("InWeakDict")

partial = functools.partial(print, marker("InPartial"))


def work(ready):
    local_of_thread = marker("InThread")
    ready.set()
    time.sleep(600)
    return local_of_thread


ready = threading.Event()
threading.Thread(target=work, args=(ready,), name="worker", daemon=True).start()
ready.wait()


def main():
    in_local = marker("InLocal")
    print("ready", flush=True)
    sys.stdin.read()
    return in_local


main()
