"""Builds objects of many kinds, forks, lets the child write down what it knows of every object it reaches, and waits.

usage: truth.py OUT [COUNT]: OUT gets one line an object (id, type's id, sys.getsizeof, type's name, referents), OUT.ready when it is complete.
The child has the same objects at the same addresses, so the parent, which touched nothing meanwhile, can be read from outside and compared.
"""

import array
import asyncio
import collections
import contextvars
import decimal
import functools
import gc
import json
import os
import re
import sys
import threading
import time
import weakref

try:
    import numpy
except ImportError:
    numpy = None

OUT = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 2000


class Plain:
    def __init__(self, n):
        self.n = n
        self.text = "text %d" % n
        self.items = [n, float(n)]


class Slots:
    __slots__ = ("left", "right", "__weakref__")

    def __init__(self, n):
        self.left = n * 1000
        self.right = (n, str(n))


class Listed(list):
    pass


class Dicted(dict):
    pass


def closure(value):
    def inner():
        return value

    return inner


def suspended(value):
    mine = [value]
    yield mine


def mix(n):
    keep = []
    for i in range(n):
        one = Plain(i)
        keep.append(one)
        keep.append(Slots(i))
        keep.append({"a": i, "b": [i], i: None})
        keep.append((i, "s%d" % i, b"b%d" % i, 1.5 * i, 2**70 + i))
        keep.append({i, str(i), (i,)})
        keep.append(closure(one))
        generator = suspended(i)
        next(generator)
        keep.append(generator)
        keep.append(one.__init__)
        keep.append(weakref.ref(one))
        if i % 10 == 0:
            special(keep, i)
    return keep


def special(keep, i):
    sub = Listed(range(i % 7))
    sub.extra = i
    keep.append(sub)
    named = Dicted(x=i)
    named.extra = [i]
    keep.append(named)
    keep.append(collections.OrderedDict((str(k), k) for k in range(9)))
    keep.append(collections.deque(range(i % 150), maxlen=200))
    keep.append(collections.defaultdict(list, {i: [i]}))
    keep.append(functools.partial(closure, i))
    keep.append(array.array("d", [1.0] * (i % 90)))
    keep.append(bytearray(b"x" * (i % 900)))
    keep.append(memoryview(keep[-1]))
    keep.append(decimal.Decimal(i) / 7)
    keep.append(frozenset(range(i % 40)))
    keep.append(property(closure(i)))
    keep.append(slice(i, [i], None))
    keep.append(range(i + 2**40))
    keep.append("\u4f60%d" % i)
    keep.append("\U0001f600%d" % i)
    touched = Plain(i)
    touched.__dict__
    keep.append(touched)
    many = Plain(i)
    for k in range(40):
        setattr(many, "attribute%d" % k, k)
    keep.append(many)
    try:
        raise ValueError(i)
    except ValueError as error:
        keep.append(error)
    if numpy is not None:
        whole = numpy.zeros((i + 1, 3))
        keep.append(whole)
        keep.append(whole[:1])
        keep.append(numpy.array([keep[-1], "a", None], dtype=object))


@functools.lru_cache(maxsize=64)
def cached(i):
    return [i]


def write(known):
    with open(OUT, "w") as file:
        for thing in known:
            try:
                size = sys.getsizeof(thing)
            except Exception:
                size = -1
            kind = type(thing)
            name = kind.__name__.replace(" ", "_")
            referents = " ".join(str(id(one)) for one in gc.get_referents(thing))
            file.write("%d %d %d %s %s\n" % (id(thing), id(kind), size, name, referents))


def reached():
    """Every object that the collector's lists lead to."""
    todo = gc.get_objects()
    own = {id(todo)}
    seen = {}
    while todo:
        one = todo.pop()
        if id(one) in seen or id(one) in own:
            continue
        seen[id(one)] = one
        todo.extend(gc.get_referents(one))
    return list(seen.values())


DATA = mix(COUNT)
for number in range(100):
    cached(number)
variable = contextvars.ContextVar("variable")
variable.set([1])
context = contextvars.copy_context()
ready = threading.Event()


def waiting(mine):
    ready.wait()


threading.Thread(target=waiting, args=([1, 2],), daemon=True).start()
time.sleep(0.1)
gc.collect()
gc.disable()
child = os.fork()
if child == 0:
    write(reached())
    os._exit(0)
os.waitpid(child, 0)
open(OUT + ".ready", "w").close()
while True:
    time.sleep(10)
