-- Persons' and customers' keys and pseudonyms (store/vault.py). Not part of the log: deleting a row is the erasure.
create schema if not exists privacy;

create table if not exists privacy.installation (
  one boolean primary key default true check (one), key_check bytea not null
);

create table if not exists privacy.subjects (
  lookup      bytea primary key,          -- keyed hash of the name
  pseudonym   text not null unique,
  wrapped_key bytea                       -- under the installation's privacy key; customers have none
);

-- Whose an account may be: written before the account is, so an erasure overlooks none. The account's stream decides.
create table if not exists privacy.accounts (
  account text, pseudonym text, primary key (account, pseudonym)
);
create index if not exists accounts_by_pseudonym on privacy.accounts (pseudonym);

revoke all on schema privacy from public;
grant usage on schema privacy to hallmark_service;
grant select, insert on privacy.installation to hallmark_service;
grant select, insert, update, delete on privacy.subjects to hallmark_service;
grant select, insert on privacy.accounts to hallmark_service;

select log.erase_bodies();
