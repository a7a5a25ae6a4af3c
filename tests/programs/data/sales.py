"""A small data-processing job: read order lines, check them, sum them up, print a report.

Used by tests/programs (is the output the same on our allocator?) and by `make run`.
Standard library only; the report depends on nothing but this file.
"""

import collections
import hashlib
import json
import random
import re
import sys
import threading

ORDERS = int(sys.argv[1]) if len(sys.argv) > 1 else 30000
CITIES = ["Aarhus", "Bologna", "Cork", "Dresden", "Espoo", "Faro", "Ghent", "Haarlem"]
GOODS = {"anvil": 4200, "bolt": 12, "cable": 350, "drill": 8900, "easel": 2750, "flute": 15600}
LINE = re.compile(r"^(?P<day>\d{4}-\d\d-\d\d) (?P<city>[A-Z][a-z]+) (?P<rest>\{.*\})$")


def make_lines(count):
    """Order lines as a shop would export them; one in fifty is damaged."""
    dice = random.Random(2718)
    for number in range(count):
        items = [
            {"good": good, "pieces": dice.randint(1, 9), "note": "x" * dice.randint(0, 40)}
            for good in dice.sample(sorted(GOODS), dice.randint(1, 4))
        ]
        order = json.dumps({"id": number, "customer": f"c{dice.randint(1, 4000):05}", "items": items})
        if dice.random() < 0.02:
            order = order[: dice.randint(1, len(order) - 1)]
        yield f"2024-{dice.randint(1, 12):02}-{dice.randint(1, 28):02} {dice.choice(CITIES)} {order}"


class Tally:
    """What one thread has seen."""

    def __init__(self):
        self.by_city = collections.defaultdict(int)
        self.by_month = collections.Counter()
        self.by_customer = {}
        self.damaged = []

    def read(self, line):
        found = LINE.match(line)
        try:
            order = json.loads(found["rest"]) if found else None
        except json.JSONDecodeError as error:
            order = None
            self.damaged.append((line, str(error)))
        else:
            if order is None:
                self.damaged.append((line, "no match"))
        if order is None:
            return
        total = sum(GOODS[item["good"]] * item["pieces"] for item in order["items"])
        self.by_city[found["city"]] += total
        self.by_month[found["day"][:7]] += total
        self.by_customer.setdefault(order["customer"], []).append((total, order["id"]))

    def add(self, other):
        for city, total in other.by_city.items():
            self.by_city[city] += total
        self.by_month.update(other.by_month)
        for customer, orders in other.by_customer.items():
            self.by_customer.setdefault(customer, []).extend(orders)
        self.damaged += other.damaged


def tally_in_threads(lines, count=4):
    tallies = [Tally() for _ in range(count)]

    def work(number):
        for line in lines[number::count]:
            tallies[number].read(line)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    return whole


def main():
    lines = list(make_lines(ORDERS))
    whole = tally_in_threads(lines)
    print(f"{len(lines)} orders, {len(whole.damaged)} damaged, {len(whole.by_customer)} customers")
    print("\ncity             cents")
    for city, total in sorted(whole.by_city.items(), key=lambda pair: -pair[1]):
        print(f"{city:10} {total:11}")
    best = sorted(whole.by_customer.items(), key=lambda pair: (-sum(t for t, _ in pair[1]), pair[0]))
    print("\nbest customers")
    for customer, orders in best[:3]:
        print(f"{customer:10} {sum(t for t, _ in orders):11} in {len(orders)} orders")
    month, total = max(whole.by_month.items(), key=lambda pair: pair[1])
    print(f"\nbest month {month}: {total}")

    digest = hashlib.sha256()
    for customer, orders in best:
        digest.update(f"{customer} {sorted(orders)}".encode())
    for line, error in sorted(whole.damaged):
        digest.update(f"{line} {error}".encode())
    print(f"all of it  {digest.hexdigest()[:32]}")


main()
