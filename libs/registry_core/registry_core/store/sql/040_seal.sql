-- Give the next dense log indexes to what log.unsealed returned, in the transaction that holds the sealer's lock.
-- p_snapshot and p_highest come with the rows: the backlog is at its end when p_highest is among them.
drop function if exists log.seal(bigint, text, bigint[], text[], integer[], bigint[], bytea[], smallint[], bigint[],
  bytea[]);  -- without p_highest
create or replace function log.seal(
  p_first bigint, p_snapshot text, p_highest bigint, p_positions bigint[], p_topics text[], p_partitions integer[],
  p_previous bigint[], p_leaves bytea[], p_tile_levels smallint[], p_tile_indexes bigint[], p_tile_hashes bytea[])
returns void language plpgsql security definer set search_path = log, pg_temp as $$
declare last constant bigint := p_positions[cardinality(p_positions)];
begin
  update sealer_state
     set next_index = p_first + cardinality(p_positions),
         snapshot         = case when last = p_highest then p_snapshot::pg_snapshot else snapshot end,
         backlog_snapshot = case when last < p_highest then p_snapshot::pg_snapshot end,
         backlog_from     = case when last < p_highest then last end,
         backlog_to       = case when last < p_highest then p_highest end
   where next_index = p_first;
  if not found then raise exception 'another sealer was here: next index is not %', p_first; end if;

  insert into sealed (log_index, position, topic, partition, previous_index, leaf_hash)
    select p_first + u.o - 1, u.p, u.t, u.n, u.v, u.l
      from unnest(p_positions, p_topics, p_partitions, p_previous, p_leaves) with ordinality u(p, t, n, v, l, o);

  insert into partition_heads as h (topic, partition, log_index)
    select s.t, s.n, max(p_first + s.o - 1)
      from unnest(p_topics, p_partitions) with ordinality s(t, n, o) group by 1, 2
  on conflict (topic, partition) do update set log_index = excluded.log_index;

  insert into tiles as t (level, index, hashes)
    select l, i, string_agg(h, ''::bytea order by o)
      from unnest(p_tile_levels, p_tile_indexes, p_tile_hashes) with ordinality u(l, i, h, o) group by l, i
  on conflict (level, index) do update set hashes = t.hashes || excluded.hashes;

  perform pg_notify('sealed', (p_first + cardinality(p_positions))::text);
end $$;

-- One sealer at a time: held to the end of the transaction.
create or replace function log.try_sealer_lock() returns boolean language sql volatile as $$
  select pg_try_advisory_xact_lock(4242)
$$;

-- After a dump and restore transaction ids start anew, and the stored snapshot would hide rows for ever.
-- Every row that is not sealed yet then counts as a backlog: the next passes look at each row once.
create or replace function log.rewind_sealer_after_restore() returns boolean
language plpgsql security definer set search_path = log, pg_temp as $$
begin
  update sealer_state
     set system_identifier = c.system_identifier,
         snapshot         = case when u.highest is null then pg_current_snapshot() else '3:3:' end,
         backlog_snapshot = case when u.highest is not null then pg_current_snapshot() end,
         backlog_from     = case when u.highest is not null then -1 end,
         backlog_to       = u.highest
    from pg_control_system() c,
         (select max(position) as highest from events e
           where not exists (select from sealed s where s.position = e.position)) u
   where sealer_state.system_identifier <> c.system_identifier;
  return found;
end $$;
