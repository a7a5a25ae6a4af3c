-- 200 000 rows from a fixed pseudo-random sequence; joins, sorts, windows, json, text search.
PRAGMA cache_size = 4000;
PRAGMA temp_store = memory;

CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city INTEGER);
CREATE TABLE sale(id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, note TEXT);

BEGIN;
WITH RECURSIVE step(n, x) AS (
  SELECT 1, 12345
  UNION ALL SELECT n + 1, (x * 1103515245 + 12345) & 2147483647 FROM step WHERE n < 200000)
INSERT INTO sale SELECT n, (x >> 8) % 5000, (x >> 4) % 100000,
  printf('%.*c-%08x', (x >> 12) % 30, 'z', x) FROM step;
WITH RECURSIVE step(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM step WHERE n < 4999)
INSERT INTO customer SELECT n, 'customer ' || hex(n * 7919), n % 37 FROM step;
COMMIT;

CREATE INDEX sale_customer ON sale(customer);
CREATE INDEX sale_note ON sale(note);
ANALYZE;

.print rows, sum, distinct notes
SELECT count(*), sum(cents), count(DISTINCT note) FROM sale;

.print join with grouping and sort
SELECT city, count(*), sum(cents) FROM sale JOIN customer ON customer.id = sale.customer
  GROUP BY city ORDER BY sum(cents) DESC LIMIT 8;

.print self join
SELECT count(*), sum(a.cents + b.cents) FROM sale a JOIN sale b
  ON a.customer = b.customer AND a.id < b.id WHERE a.id < 20000 AND b.id < 20000;

.print big sort
SELECT id, note FROM sale ORDER BY note DESC, cents, id LIMIT 5 OFFSET 100000;

.print window
SELECT customer, id, running FROM (
  SELECT customer, id, sum(cents) OVER (PARTITION BY customer ORDER BY id) AS running FROM sale)
  ORDER BY running DESC, id LIMIT 5;

.print group_concat and json
SELECT length(group_concat(note, ';')) FROM sale;
SELECT customer, json_array_length(list), json_extract(list, '$[1]') FROM (
  SELECT customer, json_group_array(cents) AS list FROM sale GROUP BY customer) LIMIT 3;

.print updates and deletes
BEGIN;
UPDATE sale SET note = note || note || note WHERE id % 3 = 0;
DELETE FROM sale WHERE id % 7 = 0;
INSERT INTO sale(customer, cents, note) SELECT customer, cents + 1, upper(note) FROM sale WHERE id % 5 = 0;
COMMIT;
SELECT count(*), sum(length(note)) FROM sale;
BEGIN;
DELETE FROM sale;
ROLLBACK;
VACUUM;
PRAGMA integrity_check;

.print large blobs
CREATE TABLE blob(data);
INSERT INTO blob VALUES (zeroblob(5000000)), (zeroblob(70000)), (x'');
SELECT length(data) FROM blob;
SELECT count(*), sum(cents) FROM sale;

.print an error
SELECT * FROM no_such_table;
