"""A memory handler of the logging module keeps 100 records, then flushes: bounded."""
import logging
import logging.handlers

handler = logging.handlers.MemoryHandler(100, flushLevel=logging.CRITICAL, target=logging.NullHandler())
logger = logging.getLogger("app")
logger.addHandler(handler)
logger.setLevel(logging.INFO)
logger.propagate = False


def request(i):
    logger.info("request %d %s", i, "x" * 500)  #@ recycled|cache


def main():
    for i in range(2500):
        request(i)


main()
