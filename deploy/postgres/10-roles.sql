-- Run once by the image, as the superuser, while its data folder is empty. It gives the roles their passwords and the
-- database its owner; `hallmark migrate` makes everything else and finds the roles of store/sql/090_roles.sql there.
-- To change a password later: alter role hallmark_service password '…', then restart with the new value in `.env`.
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD
\getenv ledger_password LEDGER_PASSWORD
\getenv reader_password READER_PASSWORD

create role hallmark login password :'owner_password';
create role hallmark_service login password :'service_password';
create role hallmark_ledger login password :'ledger_password';
create role hallmark_reader login password :'reader_password';

create database hallmark owner hallmark;
revoke all on database hallmark from public;
grant connect on database hallmark to hallmark_service, hallmark_ledger, hallmark_reader;
