"""A reference lost in C: nobody can free these objects any more, and no Python tool can name them."""

import ctypes
import os
import time


def parse(number):
    result = {"number": number, "text": "x" * 1_000}
    # What an extension does that forgets a Py_DECREF on its way out.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(result))


for number in range(5_000):
    parse(number)
print(f"ready: tidegauge heap {os.getpid()}", flush=True)
time.sleep(600)
