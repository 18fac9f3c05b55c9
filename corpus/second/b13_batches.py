"""Batches of 50 records are gathered and flushed: a sawtooth inside one function."""


def flush(batch):
    return sum(len(record) for record in batch)


def main():
    batch = []
    for i in range(3000):
        batch.append(("record %d" % i) * 60)  #@ recycled
        if len(batch) == 50:
            flush(batch)
            batch = []


main()
