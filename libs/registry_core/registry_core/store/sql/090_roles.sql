-- hallmark_service: what every service connects as. It reads the log, and appends through one function.
-- hallmark_ledger: the ledger's sealer and checkpoints. It alone gives order and adds checkpoints; it cannot append.
-- hallmark_reader: dashboards; sees the views alone.
do $$
begin
  if not exists (select from pg_roles where rolname = 'hallmark_service') then create role hallmark_service login; end if;
  if not exists (select from pg_roles where rolname = 'hallmark_ledger') then create role hallmark_ledger login; end if;
  if not exists (select from pg_roles where rolname = 'hallmark_reader') then create role hallmark_reader login; end if;
exception when duplicate_object or unique_violation then null;   -- two databases of one cluster installing at once
end $$;

revoke all on schema log, work, projection, views from public;
revoke all on all functions in schema log from public;
grant usage on schema log, work, projection, views to hallmark_service;
grant select on all tables in schema log to hallmark_service;
revoke all on all functions in schema log from hallmark_service;   -- it once had them all
grant execute on function log.append_batch, log.unsealed, log.streams_at, log.tree_entries to hallmark_service;
grant usage on schema log to hallmark_ledger;
grant select on all tables in schema log to hallmark_ledger;
grant execute on function log.add_topics, log.seal, log.rewind_sealer_after_restore, log.lock_checkpoints,
                          log.add_checkpoint, log.add_cosignature, log.tree_entries to hallmark_ledger;
grant select, insert, update, delete on all tables in schema work, projection to hallmark_service;
grant select on all tables in schema views to hallmark_service;
grant usage on all sequences in schema work to hallmark_service;
grant usage on schema views to hallmark_reader;
grant select on all tables in schema views to hallmark_reader;
