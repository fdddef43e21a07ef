-- Nobody changes history: not the services (they lack the right), not an owner by accident (the trigger says no).
create or replace function log.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'the log is append-only: % on log.% is not allowed', lower(tg_op), tg_table_name
    using hint = 'append a further event that corrects the earlier one', errcode = 'insufficient_privilege';
end $$;

do $$
declare t text;
begin
  foreach t in array array['events', 'sealed', 'checkpoints', 'cosignatures'] loop
    execute format('drop trigger if exists append_only on log.%I', t);
    execute format('create trigger append_only before update or delete or truncate on log.%I
                    for each statement execute function log.refuse_change()', t);
  end loop;
end $$;

-- One signer at a time, to the end of the transaction. A lock that a service cannot take, as it could an advisory one.
create or replace function log.lock_checkpoints() returns void
language sql security definer set search_path = log, pg_temp as $$
  lock table checkpoints in share row exclusive mode
$$;

create or replace function log.add_checkpoint(p_size bigint, p_root bytea, p_note text) returns void
language sql security definer set search_path = log, pg_temp as $$
  insert into checkpoints (size, root, note) values (p_size, p_root, p_note) on conflict (size) do nothing
$$;

create or replace function log.add_cosignature(p_size bigint, p_vkey text, p_line text) returns void
language sql security definer set search_path = log, pg_temp as $$
  insert into cosignatures (size, vkey, line) values (p_size, p_vkey, p_line) on conflict (size, vkey) do nothing
$$;
