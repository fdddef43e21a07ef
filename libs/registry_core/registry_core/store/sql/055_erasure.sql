-- The one change that the log allows: the body of an event becomes null, when an erasure names it. Its hash stays, so
-- every proof holds. Only types that say nothing a later event does not say again can be erased.

-- Services can append any bytes as an erasure: one that cannot be read as a whole names nothing, as it does in
-- registry_core/proofs/erasures.py, and stops no other erasure nor a migration.
create or replace function log.named_bodies(p_body bytea) returns setof uuid language plpgsql stable as $$
declare ids uuid[];  -- rows returned before an error would stay
begin
  select array_agg(id::uuid) into ids
    from jsonb_array_elements_text(convert_from(p_body, 'UTF8')::jsonb -> 'bodies') named(id);
  return query select unnest(ids);
exception when others then return;
end $$;

create or replace function log.erasable() returns setof uuid language sql stable set search_path = log, pg_temp as $$
  select e.event_id
    from events r cross join lateral named_bodies(r.body) named(id) join events e on e.event_id = named.id
   where r.type = 'io.hallmark.privacy.person-erased.v1' and r.stream_id >= 'person:' and r.stream_id < 'person;'
     and e.type = 'io.hallmark.identity.account-created.v1' and e.body is not null
$$;

create or replace function log.refuse_rewrite() returns trigger language plpgsql as $$
declare erased log.events := old;
begin
  erased.body := null;
  if new is not distinct from erased and old.event_id in (select log.erasable()) then return new; end if;
  raise exception 'the log is append-only: update on log.events is not allowed'
    using hint = 'append a further event that corrects the earlier one', errcode = 'insufficient_privilege';
end $$;

drop trigger if exists append_only on log.events;
create trigger append_only before delete or truncate on log.events
  for each statement execute function log.refuse_change();
drop trigger if exists append_only_rows on log.events;
create trigger append_only_rows before update on log.events
  for each row execute function log.refuse_rewrite();

-- For the owner, at every migration and by `hallmark privacy scrub`: do what erasures named and nobody has done yet.
create or replace function log.erase_bodies() returns bigint language sql set search_path = log, pg_temp as $$
  with erased as (update events set body = null where event_id in (select erasable()) returning 1)
  select count(*) from erased
$$;
