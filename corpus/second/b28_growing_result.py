"""A report is joined from parts that one function gathers in its own list."""


def report(n):
    parts = []
    for i in range(n):
        parts.append("line %d of the report\n" % i * 3)  #@ held|undecided
    return "".join(parts)


def main():
    return len(report(5000))


print(main())
