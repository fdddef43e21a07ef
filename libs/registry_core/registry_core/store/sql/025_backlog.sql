-- A part of a backlog, by position (030_unsealed.sql says what that is). While the sealer works on one part it asks for
-- the next, before the pass has committed.
drop function if exists log.backlog(integer, bigint, bigint, text);
create function log.backlog(p_limit integer, p_after bigint, p_to bigint, p_snapshot text)
returns table (first_index bigint, snapshot text, highest bigint, event_position bigint, stream_id text,
               version integer, event_id uuid,
               type text, body_sha256 bytea, actor text, occurred_at timestamptz, recorded_at timestamptz,
               correlation_id uuid, causation_id uuid, traceparent text)
language sql volatile set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  select state.next_index, p_snapshot, p_to, e.position, e.stream_id, e.version, e.event_id, e.type, e.body_sha256,
         e.actor, e.occurred_at, e.recorded_at, e.correlation_id, e.causation_id, e.traceparent
    from log.sealer_state state, log.events e
   where e.position > p_after and e.position <= p_to
     and not pg_visible_in_snapshot(e.xid, state.snapshot)
     and not exists (select 1 from log.sealed s where s.position = e.position)
   order by e.position limit p_limit
$$;
