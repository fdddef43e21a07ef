-- What the services work with: all of it can be rebuilt from the log or thrown away.
create schema if not exists work;

-- A consumer's truth: everything up to log_index of this topic and partition has had its effects.
create table if not exists work.watermarks (
  consumer text, topic text, partition integer, log_index bigint not null, primary key (consumer, topic, partition)
);

create table if not exists work.relay (
  one boolean primary key default true check (one), next_index bigint not null
);
insert into work.relay values (true, 0) on conflict do nothing;

create table if not exists work.jobs (
  id          uuid primary key,
  service     text not null,
  kind        text not null,
  payload     jsonb not null,
  priority    integer not null default 0,       -- higher first: what a person waits for
  attempts    integer not null default 0,
  run_at      timestamptz not null default now(),
  lease       uuid,
  lease_until timestamptz,
  state       text not null default 'waiting' check (state in ('waiting', 'done', 'failed')),
  last_error  text,
  origin      jsonb not null
);
-- Attempts that failed by the job's own fault; `attempts` counts kills and missing dependencies, too.
alter table work.jobs add column if not exists failures integer not null default 0;
create index if not exists jobs_waiting on work.jobs (service, priority desc, run_at) where state = 'waiting';

create table if not exists work.dead_letters (
  id          bigint generated always as identity primary key,
  consumer    text not null,
  topic       text not null,
  partition   integer not null,
  record      text not null,                    -- log index, or the broker's offset for an inbound topic
  key         text,
  headers     jsonb not null,
  value       bytea not null,
  reason      text not null,
  state       text not null default 'open' check (state in ('open', 'replaying', 'replayed')),
  received_at timestamptz not null default now(),
  unique (consumer, topic, partition, record, reason)
);

-- What was sent with an Idempotency-Key: the same key with anything else is refused.
create table if not exists work.idempotency (
  seed uuid primary key, body_sha256 bytea not null, at timestamptz not null default now()
);

-- When each token was last used, as far as it has been written: no part of the log, and lost without harm.
create table if not exists work.token_use (
  account text not null, token_id text not null, used_at timestamptz not null, primary key (account, token_id)
);

-- What came of asking each source the last time: no part of the log, and found again by the next poll.
create table if not exists work.source_polls (
  source text primary key, at timestamptz not null, outcome text not null, reason text,
  outcome_since timestamptz not null                 -- since when every poll ended so
);

create table if not exists work.projections (
  name text primary key, log_index bigint not null
);

create schema if not exists projection;
create schema if not exists views;
