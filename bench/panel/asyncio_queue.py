import asyncio
import sys

from last_line import done

N = int(sys.argv[1]) if len(sys.argv) > 1 else 110


async def leaf(i, q):
    await asyncio.sleep(0)
    await q.put({"i": i})
    return i


async def cons(q, n):
    s = 0
    for _ in range(n):
        m = await q.get()
        s += m["i"]
    return s


async def main():
    for k in range(N):
        q = asyncio.Queue()
        c = asyncio.create_task(cons(q, 1000))
        await asyncio.gather(*[leaf(i, q) for i in range(1000)])
        await c


asyncio.run(main())
done()
