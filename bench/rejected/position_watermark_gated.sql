-- Rejected: as position_watermark.sql, but only rows older than every running transaction (`xid < xmin`). An old
-- transaction that writes late draws a high position, and a younger one's lower position may become final after it.
drop function if exists log.unsealed(integer);   -- what it returns is a matter of ours
create function log.unsealed(p_limit integer)
returns table (first_index bigint, snapshot text, highest bigint, event_position bigint)
language sql volatile as $$
  select (select next_index from log.sealer_state), pg_current_snapshot()::text, null::bigint, e.position
    from log.events e
   where e.position > coalesce((select max(s.position) from log.sealed s), 0)
     and e.xid < pg_snapshot_xmin(pg_current_snapshot())
   order by e.position limit p_limit
$$;
