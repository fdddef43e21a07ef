-- Entries of the stored tree: runs of leaf hashes, and whole tiles. One plan for every call, whose ranges are short: a
-- plan for each call takes longer than what it plans, and the planner would not know that they are short.
create or replace function log.tree_entries(
  p_firsts bigint[], p_stops bigint[], p_levels smallint[], p_tiles bigint[])
returns table (level smallint, first bigint, hashes bytea) language plpgsql stable
  set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off
  set enable_hashjoin = off set enable_mergejoin = off set max_parallel_workers_per_gather = 0 as $$
begin
  return query
    select 0::smallint, r.first, (select string_agg(s.leaf_hash, ''::bytea order by s.log_index) from log.sealed s
                                   where s.log_index >= r.first and s.log_index < r.stop)
      from unnest(p_firsts, p_stops) r(first, stop)
    union all
    select t.level, t.index << 4, t.hashes
      from unnest(p_levels, p_tiles) w(level, index)
      join log.tiles t on t.level = w.level and t.index = w.index;
end $$;
