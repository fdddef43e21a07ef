-- The log. Rows of log.events are never changed; order is given later, by the sealer, in log.sealed.
create schema if not exists log;

-- Whoever seals holds a lock on this table, to the end of its transaction; so does an installation, before all else. A
-- lock that a service cannot take, as it could an advisory one.
create table if not exists log.sealing ();
lock table log.sealing in exclusive mode;

create table if not exists log.streams (
  stream_id text primary key collate "C",
  version   integer not null,
  requested integer            -- the expectation of the append under way; only append_batch reads it
) with (fillfactor = 60);

create table if not exists log.events (
  position       bigserial primary key,   -- sequence CACHE must stay 1: a cached block would break position order
  stream_id      text not null collate "C",
  version        integer not null,
  event_id       uuid not null unique,
  type           text not null,
  body           bytea,                   -- the bytes as hashed; null only after erasure
  body_sha256    bytea not null,
  actor          text not null,
  occurred_at    timestamptz not null,
  recorded_at    timestamptz not null default clock_timestamp(),
  correlation_id uuid not null,
  causation_id   uuid,
  traceparent    text,
  -- pg_current_xact_id(), not xmin: a savepoint gives rows another xmin
  xid            xid8 not null default pg_current_xact_id(),
  unique (stream_id, version)
);
alter table log.events drop constraint if exists body_has_its_hash;  -- append_batch makes the digest now
-- `not valid`: rows of an older release are not scanned under lock.
do $$
begin
  -- What a leaf can say, and whoever reads it can understand: no infinity, no year that has not four digits.
  if not exists (select from pg_constraint where conname = 'occurred_in_four_digits' and conrelid = 'log.events'::regclass) then
    alter table log.events add constraint occurred_in_four_digits
      check (occurred_at >= '0001-01-01T00:00:00Z' and occurred_at < '10000-01-01T00:00:00Z') not valid;
  end if;
  -- A place that no verifier reads, an event larger than a line of an export or a record on Kafka takes: once it is in
  -- the log it would stay, and stop them for good. MAX_BODY in registry_core/store/model.py is the body's limit.
  if not exists (select from pg_constraint where conname = 'can_be_handed_on' and conrelid = 'log.events'::regclass) then
    alter table log.events add constraint can_be_handed_on check (
      version >= 0 and octet_length(body) <= 262144
      and octet_length(stream_id) + octet_length(type) + octet_length(actor) + coalesce(octet_length(traceparent), 0) <= 65536
    ) not valid;
  end if;
end $$;
create index if not exists events_by_xid on log.events (xid, position);
create index if not exists events_by_correlation on log.events (correlation_id);

create table if not exists log.topics (
  number smallint generated always as identity primary key, name text not null unique
);

create table if not exists log.sealed (
  log_index      bigint primary key,
  position       bigint not null unique,
  topic          smallint not null,       -- its number in log.topics: half of this table's cost would be the text
  partition      integer not null,
  previous_index bigint not null,         -- of the same topic and partition; -1 for the first
  leaf_hash      bytea not null
);
-- An older release wrote the topic's name.
do $$
begin
  if (select atttypid from pg_attribute where attrelid = 'log.sealed'::regclass and attname = 'topic') = 'text'::regtype then
    insert into log.topics (name) select distinct topic::text from log.sealed;
    create function pg_temp.number_of(text) returns smallint language sql as 'select number from log.topics where name = $1';
    alter table log.sealed alter column topic type smallint using pg_temp.number_of(topic::text);
  end if;
end $$;
create index if not exists sealed_by_partition on log.sealed (topic, partition, log_index);

create table if not exists log.partition_heads (
  topic text, partition integer, log_index bigint not null, primary key (topic, partition)
);

create table if not exists log.sealer_state (
  one               boolean primary key default true check (one),
  next_index        bigint not null,
  snapshot          pg_snapshot not null,
  system_identifier bigint not null
);
-- Set while a backlog is sealed in parts: the snapshot that found it, and its positions still to do.
alter table log.sealer_state
  add column if not exists backlog_snapshot pg_snapshot,
  add column if not exists backlog_from bigint,
  add column if not exists backlog_to bigint;
-- Roots of the complete subtrees of the tree of next_index leaves, by height from 0: what log.grow_tree goes on from.
alter table log.sealer_state add column if not exists peaks bytea[];
insert into log.sealer_state (one, next_index, snapshot, system_identifier, peaks)
  select true, 0, '3:3:', system_identifier, '{}' from pg_control_system() on conflict do nothing;

-- Merkle tiles of height 4, levels 1 and up; level 0 is log.sealed.leaf_hash. Entry i of level n is the root of the
-- 16 ** n leaves from i * 16 ** n on, and stands in tile i / 16 (docs/decisions/0024).
create table if not exists log.tiles (
  level smallint, index bigint, hashes bytea not null, primary key (level, index)
);

create table if not exists log.checkpoints (
  size bigint primary key, root bytea not null, note text not null, signed_at timestamptz not null default now()
);

-- What witnesses answered to a checkpoint, verified: the first signature line of each key (C2SP tlog-cosignature).
create table if not exists log.cosignatures (
  size bigint, vkey text, line text not null, primary key (size, vkey)
);
