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
  insert into topics (name) select n from unnest(p_names) n where not exists (select from topics t where t.name = n)
    on conflict do nothing;  -- another sealer adds it, too
  return query select t.name, t.number from topics t;
end $$;

-- Grow the tree of p_size leaves by leaf hashes (RFC 6962, 2.1): level by level, each level's nodes end to end in one
-- value. p_peaks are the roots of the complete subtrees by height, those that wait for a right sibling; the answer is
-- the grown tree's. Every fourth height goes to log.tiles.
create or replace function log.grow_tree(p_size bigint, p_leaves bytea, p_peaks bytea[]) returns bytea[]
language plpgsql set search_path = log, pg_temp as $$
declare height integer := 0; first bigint := p_size; nodes bytea := p_leaves; peaks bytea[] := p_peaks;
begin
  while length(nodes) > 0 loop
    if height > 0 and height % 4 = 0 then
      insert into tiles as t (level, index, hashes)
        select height / 4, (first + n) >> 4, string_agg(substr(nodes, 32 * n + 1, 32), ''::bytea order by n)
          from generate_series(0, length(nodes) / 32 - 1) n group by (first + n) >> 4
      on conflict (level, index) do update set hashes = t.hashes || excluded.hashes;
    end if;
    if first % 2 = 1 then
      if peaks[height + 1] is null then
        raise exception 'the tree of % leaves lacks its subtree of height %', p_size, height using errcode = 'data_corrupted';
      end if;
      nodes := peaks[height + 1] || nodes;
      first := first - 1;
    end if;
    peaks[height + 1] := case when length(nodes) % 64 = 32 then substr(nodes, length(nodes) - 31) end;
    nodes := (select string_agg(sha256('\x01'::bytea || substr(nodes, 64 * n + 1, 64)), ''::bytea order by n)
                from generate_series(0, length(nodes) / 64 - 1) n);
    first := first / 2;
    height := height + 1;
  end loop;
  return peaks;
end $$;

-- What sealers of earlier releases called: one still running has to stop.
drop function if exists log.number_unsealed;
drop function if exists log.try_sealer_lock;
do $$
declare old regprocedure;
begin
  for old in select oid from pg_proc where proname = 'seal' and pronamespace = 'log'::regnamespace and pronargs <> 4 loop
    execute format('drop function %s', old);
  end loop;
end $$;

-- One pass: what log.unsealed finds gets dense log indexes in its order, partitions, leaf hashes and its place in the
-- tree. No row: another sealer is at work. Nothing is sealed of a log that has fewer than p_at_least events, nor while
-- p_topics, the topic's number by event type, lacks a type: those it lacks are told.
create or replace function log.seal(p_limit integer, p_partitions integer, p_topics jsonb, p_at_least bigint)
returns table (sealed_from bigint, sealed_to bigint, oldest timestamptz, unknown_types text[])
language plpgsql security definer set search_path = log, pg_temp set enable_seqscan = off set enable_mergejoin = off as $$
#variable_conflict use_variable
declare state sealer_state; seen text; last_of_backlog bigint; last bigint; positions bigint[]; leaves bytea;
begin
  begin
    lock table sealing in exclusive mode nowait;
  exception when lock_not_available then return;
  end;
  select * into state from sealer_state;
  sealed_from := state.next_index;
  sealed_to := sealed_from;
  if sealed_from < p_at_least then return next; return; end if;
  if state.peaks is null then
    raise exception 'the tree of % leaves is not made yet, or leaves were missing when it was to be made', sealed_from
      using errcode = 'data_corrupted';
  end if;
  select min(u.snapshot), min(u.highest), array_agg(u.event_position)
    into seen, last_of_backlog, positions from unsealed(p_limit) u;
  if positions is null then return next; return; end if;
  last := positions[cardinality(positions)];

  with found as materialized (
      select sealed_from + p.o - 1 as log_index, e.position, e.type, (p_topics -> e.type)::smallint as topic,
             partition_of(e.stream_id, p_partitions) as partition, e.recorded_at,
             leaf_hash(sealed_from + p.o - 1, e) as leaf_hash
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
    into leaves, oldest, unknown_types from found f, unknown u;
  if unknown_types is not null then return next; return; end if;

  sealed_to := sealed_from + cardinality(positions);
  update sealer_state s
     set next_index = sealed_to,
         peaks      = grow_tree(sealed_from, leaves, state.peaks),
         snapshot         = case when last = last_of_backlog then seen::pg_snapshot else s.snapshot end,
         backlog_snapshot = case when last < last_of_backlog then seen::pg_snapshot end,
         backlog_from     = case when last < last_of_backlog then last end,
         backlog_to       = case when last < last_of_backlog then last_of_backlog end;
  perform pg_notify('sealed', sealed_to::text);
  return next;
end $$;

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

-- Make the tree of a log that an earlier release began, whose tiles were of another height, from p_chunk leaves at a
-- time. Where a leaf is missing no tree is made, and nothing more is sealed.
create or replace function log.make_missing_tree(p_chunk integer default 65536) returns void
language plpgsql set search_path = log, pg_temp as $$
declare size bigint; done bigint := 0; leaves bytea; part bigint; grown bytea[] := '{}';
begin
  if not exists (select from sealer_state where peaks is null) then return; end if;
  lock table sealing in exclusive mode;
  select next_index into size from sealer_state where peaks is null;
  if not found then return; end if;
  delete from tiles;
  while done < size loop
    select string_agg(leaf_hash, ''::bytea order by log_index), count(*) into leaves, part from sealed
     where log_index >= done and log_index < least(done + p_chunk, size);
    if part < least(p_chunk, size - done) then return; end if;
    grown := grow_tree(done, leaves, grown);
    done := done + part;
  end loop;
  update sealer_state set peaks = grown;
end $$;
