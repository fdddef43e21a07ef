-- What the roles may do.
revoke all on schema log, work, projection, views from public;
revoke all on all functions in schema log from public;
grant usage on schema log, work, projection, views to hallmark_service;
grant select on all tables in schema log to hallmark_service;
grant execute on all functions in schema log to hallmark_service;
grant select, insert, update, delete on all tables in schema work, projection to hallmark_service;
grant select on all tables in schema views to hallmark_service;
grant usage on all sequences in schema work to hallmark_service;
grant usage on schema views to hallmark_reader;
grant select on all tables in schema views to hallmark_reader;
