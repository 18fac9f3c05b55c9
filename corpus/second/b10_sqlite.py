"""Rows are read from a data base, summed and dropped, query after query."""
import sqlite3


def load(connection):
    return connection.execute("select id, name from t").fetchall()  #@ recycled


def main():
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (id integer, name text)")
    rows = [(i, "name %d" % i) for i in range(800)]  #@ held|recycled|undecided|warm-up
    connection.executemany("insert into t values (?, ?)", rows)
    for _ in range(60):
        len(load(connection))


main()
