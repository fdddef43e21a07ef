-- Streams as they stood (registry_core/moments.py): of each stream, up to the last event recorded at or before
-- p_known_at, what occurred at or before p_as_of; null is no bound. A prefix and not a filter by recorded_at: a clock
-- that went back stamps a later event earlier, and a state with a gap in it never was.
-- Plain SQL, so that it is inlined; both joins walk the unique index on (stream_id, version).
create or replace function log.streams_at(p_streams text[], p_known_at timestamptz, p_as_of timestamptz)
returns setof log.events language sql stable as $$
  select e.*
    from unnest(p_streams) wanted(stream_id)
    cross join lateral (
      select k.version from log.events k
       where k.stream_id = wanted.stream_id collate "C" and (p_known_at is null or k.recorded_at <= p_known_at)
       order by k.version desc limit 1) last
    join log.events e on e.stream_id = wanted.stream_id collate "C" and e.version <= last.version
   where p_as_of is null or e.occurred_at <= p_as_of
$$;
