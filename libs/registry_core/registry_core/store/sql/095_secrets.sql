-- What sources prove themselves with, and what we ask them with (store/source_secrets.py), wrapped under the installation's privacy key.
create schema if not exists secrets;

create table if not exists secrets.sources (
  id          uuid primary key,
  source      text not null,
  wrapped     bytea not null,
  made_at     timestamptz not null,
  valid_until timestamptz                       -- null: the one in force
);
-- What we ask a source with: `user:password`, or a token.
create table if not exists secrets.credentials (
  source  text primary key,
  wrapped bytea not null,
  set_at  timestamptz not null
);
create index if not exists sources_by_name on secrets.sources (source);

revoke all on schema secrets from public;
grant usage on schema secrets to hallmark_service;
grant select, insert, update, delete on secrets.sources, secrets.credentials to hallmark_service;
