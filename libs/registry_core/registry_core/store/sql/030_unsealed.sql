-- The snapshot difference: rows visible now that the sealer's last pass could not see, by position, which is each
-- stream's own order. The snapshot comes from the very statement that reads the rows, as it must.
-- A pass cut short by p_limit keeps the old snapshot; `not exists` then leaves out what it has sealed already.
--
-- What is visible now was written below this snapshot's xmax. The bound leaves out rows that a restore brought from a
-- cluster with higher transaction ids: without it each pass would look all of them up, until the ids have caught up.
-- Only a rewound sealer ('3:3:') looks at them, once.
create or replace function log.unsealed(p_limit integer)
returns table (snapshot text, event_position bigint, stream_id text, version integer, event_id uuid, type text,
               body_sha256 bytea, actor text, occurred_at timestamptz, recorded_at timestamptz,
               correlation_id uuid, causation_id uuid, traceparent text)
language sql volatile as $$
  with d as materialized (
    select e.position from log.sealer_state s
      join log.events e on e.xid >= pg_snapshot_xmax(s.snapshot) and e.xid < pg_snapshot_xmax(pg_current_snapshot())
    union all
    select e.position from log.sealer_state s, pg_snapshot_xip(s.snapshot) x(xid) join log.events e on e.xid = x.xid
    union all
    select e.position from log.events e
     where (select s.snapshot::text = '3:3:' from log.sealer_state s)
       and e.xid >= pg_snapshot_xmax(pg_current_snapshot()))
  select pg_current_snapshot()::text, e.position, e.stream_id, e.version, e.event_id, e.type, e.body_sha256, e.actor,
         e.occurred_at, e.recorded_at, e.correlation_id, e.causation_id, e.traceparent
    from d join log.events e using (position)
   where not exists (select 1 from log.sealed s where s.position = d.position)
   order by d.position limit p_limit
$$;
