"""Workers of a pool keep a record of every job in a module's list."""
from concurrent.futures import ThreadPoolExecutor
LOG = []


def job(i):
    scratch = bytearray(20000)  #@ recycled
    LOG.append(bytes(2500))  #@ leaking
    return len(scratch) + i


def main():
    with ThreadPoolExecutor(4) as pool:
        print(sum(pool.map(job, range(800))))


main()
