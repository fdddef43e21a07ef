-- Who may sign in from outside (store/logins.py). What is here only leads to an account, whose stream decides.

-- Names are found by a hash under this key, which is not in the log: exports of it lead from nobody to a login.
create table if not exists privacy.login_key (one boolean primary key default true check (one), key bytea not null);
insert into privacy.login_key (key)
  select sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8'))
  on conflict do nothing;

create table if not exists privacy.logins (
  lookup  bytea primary key,          -- keyed hash of issuer and subject
  login   text not null unique,
  account text not null
);
create index if not exists logins_by_account on privacy.logins (account);

-- Accounts that a pipeline of this issuer may come as.
create table if not exists work.workloads (issuer text, account text, primary key (issuer, account));

-- Nobody comes back as a person who was erased, by a restored backup, say.
delete from privacy.logins l
 where exists (select from privacy.accounts a where a.account = l.account)
   and not exists (select from privacy.accounts a join privacy.subjects using (pseudonym) where a.account = l.account);

grant select on privacy.login_key to hallmark_service;
grant select, insert, update, delete on privacy.logins to hallmark_service;
grant select, insert, update, delete on work.workloads to hallmark_service;
