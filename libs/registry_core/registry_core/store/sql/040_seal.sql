-- What a leaf is: the bytes of registry_core/proofs/envelope.py, hashed (RFC 6962, 2.1). JSON's quoting here and there
-- is the same: the quote, the backslash and control characters are escaped, and nothing else. Inlined where it is called.
create or replace function log.leaf_hash(p_index bigint, e log.events) returns bytea language sql stable as $$
  select sha256('\x00'::bytea || convert_to(concat(
    '{"actor":', to_json(e.actor), ',"body_sha256":"', encode(e.body_sha256, 'hex'), '",',
    '"causation_id":"' || e.causation_id::text || '",',
    '"correlation_id":"', e.correlation_id, '","id":"', e.event_id, '","log_index":', p_index,
    ',"occurred_at":"', to_char(e.occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '","recorded_at":"', to_char(e.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    '","stream":', to_json(e.stream_id), ',', '"traceparent":' || to_json(e.traceparent)::text || ',',
    '"type":', to_json(e.type), ',"version":', e.version, '}'), 'UTF8'))
$$;

-- The Kafka partition of a stream's events: one stream, one partition, one order.
create or replace function log.partition_of(p_stream text, p_partitions integer) returns integer
language sql stable as $$  -- stable as convert_to is: else it would not be inlined
  select (('x' || encode(substr(sha256(convert_to(p_stream, 'UTF8')), 1, 4), 'hex'))::bit(32)::bigint % p_partitions)::integer
$$;

create or replace function log.add_topics(p_names text[]) returns table (name text, number smallint)
language plpgsql security definer set search_path = log, pg_temp as $$
begin
  insert into topics (name) select n from unnest(p_names) n where not exists (select from topics t where t.name = n);
  return query select t.name, t.number from topics t;
end $$;

-- Number what log.unsealed finds, in its order, with dense log indexes, partitions and leaf hashes; log.seal has to
-- follow in the same transaction, the one that holds the sealer's lock. p_topics: the topic's number by event type. If
-- it lacks a type nothing is written, and the types it lacks are the answer.
create or replace function log.number_unsealed(p_limit integer, p_partitions integer, p_topics jsonb)
returns table (first_index bigint, snapshot text, highest bigint, last bigint, leaf_hashes bytea, oldest timestamptz,
               unknown_types text[])
language plpgsql security definer set search_path = log, pg_temp set enable_seqscan = off set enable_mergejoin = off as $$
#variable_conflict use_variable
declare positions bigint[];
begin
  select min(u.first_index), min(u.snapshot), min(u.highest), array_agg(u.event_position)
    into first_index, snapshot, highest, positions from unsealed(p_limit) u;
  if positions is null then return; end if;
  last := positions[cardinality(positions)];

  with found as materialized (
      select first_index + p.o - 1 as log_index, e.position, e.type, (p_topics -> e.type)::smallint as topic,
             partition_of(e.stream_id, p_partitions) as partition, e.recorded_at,
             leaf_hash(first_index + p.o - 1, e) as leaf_hash
        from unnest(positions) with ordinality p(position, o) join events e on e.position = p.position),
  unknown as materialized (select array_agg(distinct f.type) as types from found f where f.topic is null),
  numbered as (
      insert into sealed (log_index, position, topic, partition, previous_index, leaf_hash)
        select f.log_index, f.position, f.topic, f.partition,
               coalesce(lag(f.log_index) over (partition by f.topic, f.partition order by f.log_index),
                        (select h.log_index from topics t join partition_heads h on h.topic = t.name
                          where t.number = f.topic and h.partition = f.partition), -1),
               f.leaf_hash
          from found f, unknown u where u.types is null order by f.log_index),
  headed as (
      insert into partition_heads as h (topic, partition, log_index)
        select t.name, f.partition, max(f.log_index)
          from found f join topics t on t.number = f.topic, unknown u where u.types is null group by t.name, f.partition
      on conflict (topic, partition) do update set log_index = excluded.log_index)
  select string_agg(f.leaf_hash, ''::bytea order by f.log_index), min(f.recorded_at), min(u.types)
    into leaf_hashes, oldest, unknown_types from found f, unknown u;
  return next;
end $$;

-- Close the pass: the tree grown by what was numbered, and where the next pass goes on. p_snapshot and p_highest come
-- with the rows: a backlog is at its end when p_highest is the last.
do $$
declare old regprocedure;
begin
  for old in select oid from pg_proc where proname = 'seal' and pronamespace = 'log'::regnamespace and pronargs <> 8 loop
    execute format('drop function %s', old);  -- of an earlier release
  end loop;
end $$;
create or replace function log.seal(
  p_first bigint, p_next bigint, p_snapshot text, p_highest bigint, p_last bigint,
  p_tile_levels smallint[], p_tile_indexes bigint[], p_tile_hashes bytea[])
returns void language plpgsql security definer set search_path = log, pg_temp as $$
begin
  update sealer_state
     set next_index = p_next,
         snapshot         = case when p_last = p_highest then p_snapshot::pg_snapshot else snapshot end,
         backlog_snapshot = case when p_last < p_highest then p_snapshot::pg_snapshot end,
         backlog_from     = case when p_last < p_highest then p_last end,
         backlog_to       = case when p_last < p_highest then p_highest end
   where next_index = p_first;
  if not found then raise exception 'another sealer was here: next index is not %', p_first; end if;

  insert into tiles as t (level, index, hashes)
    select l, i, string_agg(h, ''::bytea order by o)
      from unnest(p_tile_levels, p_tile_indexes, p_tile_hashes) with ordinality u(l, i, h, o) group by l, i
  on conflict (level, index) do update set hashes = t.hashes || excluded.hashes;

  perform pg_notify('sealed', p_next::text);
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
