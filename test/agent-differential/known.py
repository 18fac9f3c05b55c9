"""A program that knows what it allocates: prints {function: {allocated: [bytes, blocks], live: [bytes, blocks]}} as JSON.

Only bytes objects, whose one block is 33 bytes and the text; and ctypes calls of the C library. Leaves by os._exit, so nothing is freed at the end."""

import ctypes
import json
import os
import random

HEADER = 33
TRUTH = {}
KEPT = []
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.calloc.restype = libc.realloc.restype = libc.aligned_alloc.restype = ctypes.c_void_p
libc.realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]


def account(function, size, kept):
    truth = TRUTH.setdefault(function, {"allocated": [0, 0], "live": [0, 0]})
    for name in ("allocated", "live") if kept else ("allocated",):
        truth[name][0] += size
        truth[name][1] += 1


def small(random):
    for _ in range(60000):
        size = random.randrange(16, 400)
        kept = random.random() < 0.5
        account("small", size + HEADER, kept)
        thing = bytes(size)
        if kept:
            KEPT.append(thing)
        del thing


def middle(random):
    for _ in range(6000):
        size = random.randrange(1000, 20000)
        kept = random.random() < 0.3
        account("middle", size + HEADER, kept)
        thing = bytes(size)
        if kept:
            KEPT.append(thing)
        del thing


def large(random):
    for _ in range(60):
        size = random.randrange(100000, 2000000)
        kept = random.random() < 0.3
        account("large", size + HEADER, kept)
        thing = bytes(size)
        if kept:
            KEPT.append(thing)
        del thing


def native(random):
    for i in range(3000):
        size = random.randrange(40000, 60000) // 16 * 16
        kept = i % 10 == 0
        account("native", size, kept)
        place = libc.malloc(size) if i % 3 == 0 else libc.calloc(1, size) if i % 3 == 1 else libc.aligned_alloc(64, size // 64 * 64)
        if i % 3 == 2 and size % 64:
            TRUTH["native"]["allocated"][0] -= size % 64
            TRUTH["native"]["live"][0] -= size % 64 if kept else 0
        if not kept:
            libc.free(place)


small(random.Random(1))
middle(random.Random(2))
large(random.Random(3))
native(random.Random(4))
KEPT.append(bytes(70_000))  # always recorded: what dies after the last recorded birth counts as alive at the end
print(json.dumps(TRUTH), flush=True)
os._exit(0)
