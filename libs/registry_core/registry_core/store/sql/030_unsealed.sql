-- The snapshot difference: rows visible now that the sealer's last pass could not see, by position, which is each
-- stream's own order. The snapshot comes from the very statement that finds the rows, as it must.
--
-- What is visible now was written below this snapshot's xmax. The bound leaves out rows that a restore brought from a
-- cluster with higher transaction ids: without it each pass would look all of them up, until the ids have caught up.
--
-- More than p_limit rows are a backlog. `highest` is its last position; log.seal notes snapshot and highest, and the
-- passes that follow walk on by position up to it, so that each row is looked at once however long the backlog is.
-- Order holds: a row not visible to the noted snapshot has successors in its stream only above `highest`, because they
-- draw their position after it has committed. What the walk sealed without need, `not exists` leaves out later.
--
-- The planner cannot know how few rows a range of transaction ids has, and would read whole tables to join them.
drop function if exists log.unsealed(integer);  -- its result once was another
create function log.unsealed(p_limit integer)
returns table (first_index bigint, snapshot text, highest bigint, event_position bigint)
language plpgsql volatile set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
  set enable_bitmapscan = off set max_parallel_workers_per_gather = 0 as $$
declare state log.sealer_state;
begin
  select * into state from log.sealer_state;
  if state.backlog_to is null then
    return query
      with d as (
        select e.position from log.events e
         where e.xid >= pg_snapshot_xmax(state.snapshot) and e.xid < pg_snapshot_xmax(pg_current_snapshot())
        union all
        select e.position from pg_snapshot_xip(state.snapshot) x(xid) join log.events e on e.xid = x.xid),
      u as materialized (
        select d.position from d where not exists (select 1 from log.sealed s where s.position = d.position))
      select state.next_index, pg_current_snapshot()::text, (select max(u.position) from u), u.position
        from u order by u.position limit p_limit;
  else
    return query
      select state.next_index, state.backlog_snapshot::text, state.backlog_to, e.position
        from log.events e
       where e.position > state.backlog_from and e.position <= state.backlog_to
         and not pg_visible_in_snapshot(e.xid, state.snapshot)
         and not exists (select 1 from log.sealed s where s.position = e.position)
       order by e.position limit p_limit;
  end if;
end $$;
