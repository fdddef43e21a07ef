-- Rejected: whatever has a higher position than the last sealed event. A position is handed out before its transaction
-- commits, so a slower transaction's events appear below the watermark, where nobody looks again: lost for ever.
drop function if exists log.unsealed(integer);   -- what it returns is a matter of ours
create function log.unsealed(p_limit integer)
returns table (first_index bigint, snapshot text, highest bigint, event_position bigint)
language sql volatile as $$
  select (select next_index from log.sealer_state), pg_current_snapshot()::text, null::bigint, e.position
    from log.events e
   where e.position > coalesce((select max(s.position) from log.sealed s), 0)
   order by e.position limit p_limit
$$;
