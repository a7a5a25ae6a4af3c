"""python's sqlite3 module: threads, functions of our own, blobs, backup, errors. Prints the same every time."""
import hashlib
import sqlite3
import threading


def checksum(rows):
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest()[:16]


class Longest:
    def __init__(self):
        self.text = ""

    def step(self, text):
        self.text = max(self.text, text, key=lambda t: (len(t), t))

    def finalize(self):
        return self.text


def fill(name, seed, out):
    db = sqlite3.connect(name)
    db.create_function("twist", 1, lambda s: s[::-1] * 2)
    db.create_aggregate("longest", 1, Longest)
    db.execute("create table t (i integer primary key, s text, b blob)")
    rows = ((i, str(i * 7919 % 1009) * (i % 30), bytes(i % 700)) for i in range(seed, seed + 8000))
    db.executemany("insert into t values (?, ?, ?)", rows)
    db.commit()
    db.execute("update t set s = twist(s) where i % 3 = 0")
    db.commit()
    found = db.execute("select count(*), longest(s), sum(length(b)) from t").fetchone()
    copy = sqlite3.connect(":memory:")
    db.backup(copy, pages=20)
    out[seed] = (checksum([found]), checksum(copy.execute("select s, b from t order by s, i")), checksum(copy.iterdump()))


results = {}
threads = [threading.Thread(target=fill, args=(":memory:", seed, results)) for seed in range(1, 6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(results.items()))
db = sqlite3.connect(":memory:")
for wrong in "select", "select nothing", "create table t (a); insert into t values (1)", "select zeroblob(2000000000)":
    try:
        print(db.execute(wrong).fetchall())
    except (sqlite3.Error, sqlite3.Warning) as e:
        print(type(e).__name__, e)
try:
    with db:
        db.execute("create table u (a unique)")
        db.executemany("insert into u values (?)", [(1,), (2,), (1,)])
except sqlite3.IntegrityError as e:
    print(e, db.execute("select count(*) from sqlite_master").fetchone())
