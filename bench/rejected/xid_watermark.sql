-- Rejected: rows older than every running transaction, ordered by transaction id. With any write before the append a
-- transaction is older than its turn on the stream, so version n+1 may come before version n; and one open write
-- transaction anywhere stalls everything.
drop function if exists log.unsealed(integer);   -- what it returns is a matter of ours
create function log.unsealed(p_limit integer)
returns table (first_index bigint, snapshot text, highest bigint, event_position bigint)
language sql volatile as $$
  select (select next_index from log.sealer_state), pg_current_snapshot()::text, null::bigint, e.position
    from log.sealer_state st join log.events e on e.xid >= pg_snapshot_xmin(st.snapshot)
   where e.xid < pg_snapshot_xmin(pg_current_snapshot())
     and not exists (select 1 from log.sealed s where s.position = e.position)
   order by e.xid, e.position limit p_limit
$$;
