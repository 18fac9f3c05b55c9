"""One small function per kind of control flow; run under a tracer that notes every step."""

import asyncio


def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        j = 0
        while j < i:
            j += 1
            if j == 3:
                break
        else:
            total += 1
        total += j
    while True:
        total -= 1
        if total < 0:
            return total


def comprehensions(n):
    squares = [i * i for i in range(n)]
    table = {i: [j for j in range(i)] for i in range(n)}
    return sum(i for i in squares if i), table


def handled(n):
    for i in range(n):
        try:
            if i % 2:
                raise ValueError(i)
            value = 1 / (i - 2)
        except ValueError:
            continue
        except ZeroDivisionError as error:
            value = str(error)
        else:
            value = -value
        finally:
            last = i
    try:
        int("x")
    except ValueError:
        value = 0
    after = value
    return after, last


def finally_returns(n):
    for i in range(n):
        try:
            try:
                if i == 2:
                    break
                if i == 1:
                    continue
            finally:
                i += 1
        finally:
            i += 2
    try:
        return i
    finally:
        n = 0


class Manager:
    def __init__(self, quiet):
        self.quiet = quiet

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        return self.quiet


def managed(n):
    for i in range(n):
        with Manager(True) as first, Manager(False):
            if i == 1:
                raise KeyError(first)
            if i == 2:
                continue
    with Manager(True):
        raise KeyError
    return n


def generator(n):
    for i in range(n):
        try:
            yield i
        finally:
            pass
    yield from (i for i in range(n))
    return n


def closed_early():
    for value in generator(5):
        if value == 2:
            break
    stepping = generator(3)
    next(stepping)
    try:
        stepping.throw(RuntimeError)
    except RuntimeError:
        pass


class AsyncThings:
    def __init__(self, n):
        self.left = n

    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0)

    def __aiter__(self):
        return self

    async def __anext__(self):
        self.left -= 1
        if self.left < 0:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        return self.left


async def numbers(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


async def waits(n):
    async with AsyncThings(n) as things:
        async for thing in things:
            if thing == 1:
                continue
            await asyncio.sleep(0)
    return [i async for i in numbers(n)]


async def gathers(n):
    return await asyncio.gather(*(waits(i) for i in range(n)))


def boolean(a, b, c):
    if (a and b) or (b and not c):
        return a or c
    elif a < b < 5:
        return b if c else a
    assert a >= 0, "negative"
    del a
    return lambda: c


def many_names():
    scope = {}
    exec("\n".join(f"v{i} = {i}" for i in range(300)) + "\nfor v0 in range(3):\n  v299 += v0\n", scope)
    return scope["v299"]


def long_loop(n):
    a = b = c = d = 0
    for i in range(n):
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
        a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b; d += c; a += i; b += a; c += b
    return d


for run in range(3):
    loops(6)
    comprehensions(4)
    handled(5)
    finally_returns(5)
    managed(4)
    list(generator(3))
    closed_early()
    asyncio.run(gathers(3))
    boolean(run, 1, 2)
    boolean(0, 0, run)
    boolean(3, 4, 0)
    many_names()
    long_loop(2 + run)
