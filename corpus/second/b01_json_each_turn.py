"""Parses a big document in every turn of a loop and drops it: one C call makes thousands of blocks."""
import json
TEXT = json.dumps([{"id": i, "tags": ["a", "b", str(i)]} for i in range(2000)])


def main():
    total = 0
    for _ in range(30):
        doc = json.loads(TEXT)  #@ recycled
        total += len(doc)
    return total


main()
