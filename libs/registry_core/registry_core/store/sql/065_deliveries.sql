-- What sources sent (inbox.py). The sender was told that it is taken, so it is kept until its time is over.
create table if not exists work.deliveries (
  id          uuid primary key,
  source      text not null,
  kind        text not null,
  key         text not null,                    -- the source's own id, or one made of what it says
  headers     jsonb not null,                   -- those that are read, without any that is itself a secret
  body        bytea not null,
  body_sha256 bytea not null,
  sent_at     timestamptz,                      -- as the source says; null where it does not
  received_at timestamptz not null,
  outcome     text not null check (outcome in ('waiting', 'taken', 'nothing', 'failed', 'conflict', 'refused')),
  reason      text not null default '',
  told        jsonb not null default '[]',      -- what it brought about, in sentences
  replays     integer not null default 0
);
-- Once proven, a key stands for one delivery.
create unique index if not exists deliveries_by_key on work.deliveries (source, key)
  where outcome not in ('refused', 'conflict');
create index if not exists deliveries_by_source on work.deliveries (source, received_at desc);
-- Anybody may send what proves nothing: keeping the newest few of it must not cost more for what was taken.
create index if not exists deliveries_refused on work.deliveries (source, received_at desc) where outcome = 'refused';
create index if not exists deliveries_by_time on work.deliveries (received_at);

-- When a source last said what an aspect of an object is, also where that was known already and so is not in the log.
create table if not exists work.heard (
  stream text, aspect text, at timestamptz not null, primary key (stream, aspect)
);
