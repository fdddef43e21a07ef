-- Append to many streams at once. Each append gets its own result; a conflict does not fail its neighbours.
-- p_expected: n = the stream's last version is n, -1 = the stream does not exist, null = any.
-- A duplicate event_id fails the whole call (the client re-sends singly).
-- The digest that the log proves is made here, of these very bytes: no service can append another.
-- Call it once per transaction: two calls can deadlock. Streams are locked in one order, so calls cannot.
drop function if exists log.append_batch(text[], integer[], integer[], integer[], integer[], uuid[], text[], bytea[], bytea[],
  text[], timestamptz[], uuid[], uuid[], text[]);  -- it once took the digests
create or replace function log.append_batch(
  p_streams text[], p_expected integer[], p_counts integer[],      -- per append, streams distinct
  p_append integer[], p_offset integer[],                          -- per event: append 1.., offset 0..
  p_ids uuid[], p_types text[], p_bodies bytea[], p_actors text[],
  p_occurred timestamptz[], p_correlations uuid[], p_causations uuid[], p_traceparents text[])
returns table (append integer, ok boolean, first_version integer, current_version integer)
language plpgsql security definer set search_path = log, pg_temp as $$
begin return query
  with a as materialized (
      select u.o::integer as o, u.s, u.e, u.n
        from unnest(p_streams, p_expected, p_counts) with ordinality u(s, e, n, o)),
  up as (
      insert into streams as s (stream_id, version, requested)
        select a.s, a.n - 1, a.e from a
        -- scalar subquery, not exists(): it keeps the plan cached for small and large batches alike
        where a.e is null or a.e = -1 or (select true from streams x where x.stream_id = a.s)
        order by a.s collate "C"
      on conflict (stream_id) do update set version = s.version + excluded.version + 1
        where excluded.requested is null or excluded.requested = s.version
      returning s.stream_id, s.version),
  done as (
      select a.o, u.stream_id, u.version - a.n + 1 as f, u.version as v from up u join a on a.s = u.stream_id),
  written as (
      insert into events (stream_id, version, event_id, type, body, body_sha256, actor, occurred_at,
                          correlation_id, causation_id, traceparent)
        select d.stream_id, d.f + x.k, x.i, x.t, x.b, sha256(x.b), x.ac, x.oc, x.co, x.ca, x.tr
          from unnest(p_append, p_offset, p_ids, p_types, p_bodies, p_actors, p_occurred, p_correlations,
                      p_causations, p_traceparents) x(a, k, i, t, b, ac, oc, co, ca, tr)
          join done d on d.o = x.a
         order by d.stream_id, x.k)
  select a.o, d.o is not null, d.f,
         case when d.o is not null then d.v
              else coalesce((select x.version from streams x where x.stream_id = a.s), -1) end
    from a left join done d on d.o = a.o;
end $$;
