-- hallmark_service: what every service connects as. It reads the log and appends through functions.
-- hallmark_reader: dashboards; sees the views alone.
do $$
begin
  if not exists (select from pg_roles where rolname = 'hallmark_service') then create role hallmark_service login; end if;
  if not exists (select from pg_roles where rolname = 'hallmark_reader') then create role hallmark_reader login; end if;
exception when duplicate_object or unique_violation then null;   -- two databases of one cluster installing at once
end $$;
