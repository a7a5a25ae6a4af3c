select sum(abalance) as accounts, (select sum(delta) from pgbench_history) as history from pgbench_accounts;
select count(*), sum(bbalance) from pgbench_branches;
create table t as select i, (i * 7919) % 10007 as k, md5(i::text) as s, (i % 13) * 1.5 as f
  from generate_series(1, :rows) i;
create index on t (k);
create index on t (s);
analyze t;
select k % 10, count(*), sum(i), min(s), max(f) from t group by 1 order by 1;
select count(*) from t a join t b on a.k = b.i where a.s < b.s;
select md5(string_agg(s, ',' order by s desc)) from t;
select sum(r) from (select row_number() over (partition by k % 7 order by s) * i as r from t) x;
select md5(jsonb_agg(jsonb_build_object('i', i, 's', s) order by i)::text) from t where k < 500;
select count(*) from t where s ~ '^[0-9]+a.*f$';
update t set s = s || s where k % 3 = 0;
delete from t where k % 5 = 0;
vacuum t;
select count(*), sum(length(s)) from t;
do $$ begin for n in 1..2000 loop perform n, md5(repeat('x', n)); begin raise exception 'no'; exception when others then null; end; end loop; end $$;
with recursive f(n, a, b) as (select 1, 0::numeric, 1::numeric union all select n + 1, b, a + b from f where n < 500)
  select b from f where n = 500;
drop table t;
