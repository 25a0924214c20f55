-- The roles of the example, which a superuser creates once: roles belong to the whole server, not to a database.
--
-- private_owner  owns everything that private.sql creates; nobody logs in as it
-- private_anon   users who have not signed in
-- private_user   users who have
--
-- The server logs in as a fourth one, :login, which owns nothing and may only switch to one of the latter two.

select format('create role %I nologin', name)
from unnest(array['private_owner', 'private_anon', 'private_user']) as name
where name not in (select rolname from pg_roles)
\gexec

grant private_anon, private_user to :"login" with inherit false, set true;
