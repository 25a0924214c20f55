-- Letters that only their sender and their recipient see. Loaded as private_owner, with the roles of roles.sql.
--
-- Three schemas: `api` has the functions that can be called, `mail` the letters, `auth` what only its owner may read.

\getenv secret JWT_SECRET
\if :{?secret}
\else
    \warn 'Set JWT_SECRET to what config.yaml has as auth.secret.'
    \quit
\endif

-- PostgreSQL lets everybody execute a new function. This revokes that; each function is granted below.
alter default privileges revoke execute on functions from public;

create schema api;
create schema mail;
create schema auth;
grant usage on schema api to private_anon, private_user;
grant usage on schema mail to private_user;


-- People --------------------------------------------------------------------------------------------------------------

create table mail.people (
    name text primary key
        constraint name_is_simple check (name ~ '^[a-z]{1,20}$')  -- it is part of a channel's name
);

create table auth.passwords (
    name text primary key references mail.people,
    salt text not null default gen_random_uuid(),
    hash bytea not null
);

create table auth.secret (value text not null);

insert into auth.secret values (:'secret');

-- Slow on purpose, so that guessing is. With the extension pgcrypto use its crypt() and gen_salt('bf') instead.
create function auth.hash(password text, salt text) returns bytea
    language plpgsql immutable strict
as $$
declare
    hash bytea := sha256(convert_to(salt || password, 'UTF8'));
begin
    for turn in 1 .. 50000 loop
        hash := sha256(hash || convert_to(salt, 'UTF8'));
    end loop;
    return hash;
end
$$;

insert into mail.people values ('ann'), ('bob'), ('eve');

insert into auth.passwords (name, hash)
select name, '' from mail.people;

update auth.passwords set hash = auth.hash(name || '-password', salt);


-- Tokens (RFC 7519), signed by HMAC with SHA-256 (RFC 2104) -----------------------------------------------------------

create function auth.base64url(data bytea) returns text
    language sql immutable strict
as $$
    select translate(encode(data, 'base64'), E'+/=\n', '-_')
$$;

create function auth.hmac(message bytea, key bytea) returns bytea
    language plpgsql immutable strict
as $$
declare
    inner_pad bytea := decode(repeat('36', 64), 'hex');
    outer_pad bytea := decode(repeat('5c', 64), 'hex');
begin
    if octet_length(key) > 64 then
        key := sha256(key);
    end if;
    for at in 0 .. octet_length(key) - 1 loop
        inner_pad := set_byte(inner_pad, at, get_byte(inner_pad, at) # get_byte(key, at));
        outer_pad := set_byte(outer_pad, at, get_byte(outer_pad, at) # get_byte(key, at));
    end loop;
    return sha256(outer_pad || sha256(inner_pad || message));
end
$$;

create function auth.token(subject text) returns text
    language plpgsql
as $$
declare
    header json := json_build_object('alg', 'HS256', 'typ', 'JWT');
    claims json := json_build_object(
        'sub', subject, 'role', 'private_user', 'exp', extract(epoch from now() + interval '15 minutes')::bigint);
    signed text := auth.base64url(convert_to(header::text, 'UTF8')) || '.'
        || auth.base64url(convert_to(claims::text, 'UTF8'));
    secret text := (select value from auth.secret);
begin
    return signed || '.' || auth.base64url(auth.hmac(convert_to(signed, 'UTF8'), convert_to(secret, 'UTF8')));
end
$$;

/* The subject of the caller's token, which pgrpc has verified. */
create function mail.me() returns text
    language sql stable
as $$
    select nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub'
$$;

grant execute on function mail.me() to private_user;


-- Letters -------------------------------------------------------------------------------------------------------------

create table mail.letters (
    id        bigint generated always as identity primary key,
    sender    text not null default mail.me() references mail.people,
    recipient text not null references mail.people,
    text      text not null constraint text_is_short check (char_length(text) between 1 and 1000),
    sent      timestamptz not null default now()
);

create index letters_of_their_sender on mail.letters (sender, id);
create index letters_of_their_recipient on mail.letters (recipient, id);

alter table mail.letters enable row level security;

create policy see_mine on mail.letters for select to private_user
    using (mail.me() in (sender, recipient));

create policy send_mine on mail.letters for insert to private_user
    with check (sender = mail.me());

grant select on mail.people, mail.letters to private_user;
grant insert (recipient, text) on mail.letters to private_user;  -- the sender is always the caller

create function mail.tell() returns trigger
    language plpgsql
as $$
begin
    perform pg_notify('letters.' || name, to_jsonb(new)::text)
    from (values (new.sender), (new.recipient)) as concerned (name)
    group by name;
    return null;
end
$$;

create trigger letters_tell
    after insert on mail.letters
    for each row
    execute function mail.tell();

insert into mail.letters (sender, recipient, text, sent) values
    ('bob', 'ann', 'Dear Ann, nobody but the two of us can read this.', now() - interval '2 hours'),
    ('eve', 'bob', 'Bob, is it true that you write to Ann?', now() - interval '1 hour');


-- Functions for pages -------------------------------------------------------------------------------------------------

/* `security definer`: it runs with its owner's rights, because callers may not read passwords. So its search_path is fixed. */
create function api.login(name text, password text) returns text
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    known auth.passwords;
begin
    select * into known from auth.passwords p where p.name = login.name;
    -- Also for an unknown name: the time that it takes must not reveal which names exist.
    if auth.hash(password, coalesce(known.salt, '')) is distinct from known.hash then
        raise exception 'The name or the password is wrong.' using errcode = 'invalid_password';
    end if;
    return auth.token(known.name);
end
$$;

comment on function api.login(text, text) is 'Returns a token if name and password are right.';

create function api.renew() returns text
    language sql security definer
    set search_path = pg_catalog, pg_temp
as $$
    select auth.token(mail.me())
$$;

comment on function api.renew() is 'Returns a new token for the signed-in user.';

create function api.people() returns setof text
    language sql stable
as $$
    select name from mail.people where name <> mail.me() order by name
$$;

comment on function api.people() is 'The people that the user can write to.';

/* No condition: row security shows each caller only his own letters. */
create function api.letters() returns setof mail.letters
    language sql stable
as $$
    select * from mail.letters order by id
$$;

comment on function api.letters() is 'All letters that one has sent or got.';

create function api.send_letter(recipient text, text text) returns mail.letters
    language sql
as $$
    insert into mail.letters (recipient, text) values (send_letter.recipient, btrim(send_letter.text)) returning *
$$;

comment on function api.send_letter(text, text) is 'Writes to somebody.';

grant execute on function api.login(text, text) to private_anon;
grant execute on function api.renew(), api.people(), api.letters(), api.send_letter(text, text) to private_user;
