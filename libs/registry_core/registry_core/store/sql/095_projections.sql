-- Tables of projections: built beside the one that is shown, and swapped to. The services own no table, so what needs
-- an owner is done by the functions below; they build every name themselves and take no SQL from their caller.
alter table work.projections
  add column if not exists projection text,
  add column if not exists version integer,
  add column if not exists generation integer not null default 1,
  add column if not exists state text not null default 'kept' check (state in ('building', 'ready', 'live', 'kept')),
  add column if not exists switch_when_ready boolean not null default false,
  add column if not exists begun_at timestamptz not null default now(),
  add column if not exists ready_at timestamptz,
  add column if not exists live_since timestamptz,
  add column if not exists problem text,        -- why it could not be built
  add column if not exists request uuid;        -- the last one about it: the same again changes nothing

-- Rows of a release that knew one table per version: the view says which one is shown.
update work.projections p
   set projection = (regexp_match(name, '^(.*)__v(\d+)$'))[1], version = (regexp_match(name, '^(.*)__v(\d+)$'))[2]::integer,
       state = case when exists (
         select from pg_rewrite r join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
          where r.ev_class = to_regclass('views.' || quote_ident((regexp_match(name, '^(.*)__v(\d+)$'))[1]))
            and d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass('projection.' || quote_ident(name)))
       then 'live' else 'kept' end
 where projection is null;

create unique index if not exists projections_live on work.projections (projection) where state = 'live';
create unique index if not exists projections_under_way on work.projections (projection)
  where state in ('building', 'ready');

-- An empty table beside the others of this version, with no index but the key's: the rest comes once it is filled.
create or replace function work.add_generation(p_projection text, p_version integer, p_switch boolean)
returns text language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare v_template text; v_table text;
begin
  perform pg_advisory_xact_lock(4243, hashtext(p_projection));
  select name into v_template from work.projections
   where projection = p_projection and version = p_version order by state = 'live' desc, generation desc limit 1;
  if v_template is null then
    raise no_data_found using message = format('there is no table of version %s of %s', p_version, p_projection);
  end if;
  select format('%s__v%s_g%s', p_projection, p_version, max(generation) + 1) into v_table from work.projections
   where projection = p_projection and version = p_version;
  insert into work.projections (name, log_index, projection, version, generation, state, switch_when_ready)
    select v_table, -1, p_projection, p_version, max(generation) + 1, 'building', p_switch from work.projections
     where projection = p_projection and version = p_version;
  execute format('create table projection.%I (like projection.%I including defaults including storage, primary key (key))',
                 v_table, v_template);
  execute format('grant select, insert, update, delete on projection.%I to hallmark_service', v_table);
  return v_table;
end $$;

-- The indexes that its sisters of the same version have, and statistics: readers get what they are used to.
create or replace function work.index_generation(p_table text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare v_index record;
begin
  for v_index in
    select distinct on (1) replace(i.relname, s.name, t.name) as name, substring(pg_get_indexdef(i.oid) from ' USING .*') as body
      from work.projections t join work.projections s on (s.projection, s.version) = (t.projection, t.version) and s.name <> t.name
      join pg_index x on x.indrelid = to_regclass(format('projection.%I', s.name)) and not x.indisprimary
      join pg_class i on i.oid = x.indexrelid
     where t.name = p_table
  loop
    execute format('create index if not exists %I on projection.%I %s', v_index.name, p_table, v_index.body);
  end loop;
  execute format('analyze projection.%I', p_table);
end $$;

-- Show this table. Readers wait for a moment and then see it; `create or replace` keeps a view's grants and what stands
-- on it, and is possible as long as columns are only added at the end. Else the view is made anew, with its grants.
create or replace function work.switch_view(p_table text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare v_name text; v_view regclass; v_table regclass; v_grants text[]; v_grant text;
begin
  select projection into strict v_name from work.projections where name = p_table for update;
  v_view := to_regclass(format('views.%I', v_name));
  v_table := format('projection.%I', p_table)::regclass;
  if v_view is not null then
    execute format('lock table views.%I in access exclusive mode', v_name);
    if exists (
      select from pg_attribute v left join pg_attribute t on t.attrelid = v_table and t.attnum = v.attnum
       where v.attrelid = v_view and v.attnum > 0
         and (t.attname, t.atttypid, t.atttypmod, t.attcollation) is distinct from (v.attname, v.atttypid, v.atttypmod, v.attcollation))
    then
      select array_agg(format('grant %s on views.%I to %s', a.privilege_type, v_name,
                              case a.grantee when 0 then 'public' else a.grantee::regrole::text end))
        into v_grants from pg_class c, aclexplode(c.relacl) a where c.oid = v_view and a.grantee <> c.relowner;
      execute format('drop view views.%I', v_name);
    end if;
  end if;
  execute format('create or replace view views.%I as select * from projection.%I', v_name, p_table);
  execute format('grant select on views.%I to hallmark_service, hallmark_reader', v_name);
  foreach v_grant in array coalesce(v_grants, '{}') loop execute v_grant; end loop;
  update work.projections set state = 'kept' where projection = v_name and state = 'live' and name <> p_table;
  update work.projections set state = 'live', switch_when_ready = false, live_since = clock_timestamp() where name = p_table;
  perform pg_notify('projected', v_name);
end $$;

-- Remove a table that is not shown. While one is built, its sisters stay: it has their columns and takes their indexes.
create or replace function work.drop_generation(p_table text)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare v_row work.projections;
begin
  select * into strict v_row from work.projections where name = p_table for update;
  if v_row.state = 'live' then
    raise object_in_use using message = format('%s is what views.%s shows', p_table, v_row.projection);
  elsif exists (select from work.projections where projection = v_row.projection and state = 'building' and name <> p_table) then
    raise object_in_use using message = format('another table of %s is being built', v_row.projection);
  end if;
  execute format('drop table if exists projection.%I', p_table);
  delete from work.projections where name = p_table;
end $$;

revoke all on function work.add_generation, work.index_generation, work.switch_view, work.drop_generation from public;
grant execute on function work.add_generation, work.index_generation, work.switch_view, work.drop_generation to hallmark_service;
