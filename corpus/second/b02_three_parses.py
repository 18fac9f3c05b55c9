"""The same only three times: no trend can be told, and none may be invented from the blocks of one call."""
import json
TEXT = json.dumps([{"id": i, "name": "n%d" % i} for i in range(3000)])


def main():
    for _ in range(3):
        doc = json.loads(TEXT)  #@ recycled
        len(doc)


main()
