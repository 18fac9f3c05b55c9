"""A cache on a method keeps every object that the method was ever called on."""

import functools
import os
import time


class Report:
    def __init__(self, number):
        self.number = number
        self.buffer = bytearray(16_000)

    @functools.lru_cache(maxsize=None)
    def total(self):
        return sum(self.buffer) + self.number


def handle(number):
    return Report(number).total()


for number in range(3_000):
    handle(number)
print(f"ready: tidegauge heap {os.getpid()}", flush=True)
time.sleep(600)
