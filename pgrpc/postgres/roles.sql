-- The login role, and the roles that it may become or that are asked about. $1: JSON {roles: names, anonymous: name}.
with
    asked as (select %s::json as json),
    login as (select oid, rolname, rolsuper from pg_roles where rolname = session_user),
    tables as (
        select c.oid, c.relowner, c.relnamespace, c.oid::regclass::text as name
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f')
            and n.nspname not in ('pg_catalog', 'information_schema')
            and n.nspname !~ '^pg_(toast|temp)'
    ),
    found as (
        select
            r.oid,
            r.rolname as name,
            r.rolsuper as is_superuser,
            r.rolbypassrls as bypasses_row_security,
            pg_has_role(
                login.oid,
                r.oid,
                -- Before PostgreSQL 16 every member may.
                case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end
            ) as may_set
        from pg_roles r, login
    )
select json_build_object(
    'login', (select rolname from login),
    'is_superuser', (select rolsuper from login),
    'owns', (
        select coalesce(json_agg(name), '[]')
        from (
            select t.name
            from tables t, login
            where not login.rolsuper and pg_has_role(login.oid, t.relowner, 'USAGE')
            order by t.name
            limit 4
        ) owned
    ),
    'roles', (
        select coalesce(json_agg(row_to_json(described)), '[]')
        from (
            select
                found.name,
                found.is_superuser,
                found.bypasses_row_security,
                found.may_set,
                (
                    select json_object_agg(own.name, own.value)
                    from (
                        select distinct on (name)
                            split_part(entry, '=', 1) as name,
                            substr(entry, strpos(entry, '=') + 1) as value
                        from pg_db_role_setting s
                        cross join unnest(s.setconfig) entry
                        where s.setrole = found.oid
                            and s.setdatabase in (
                                0, (select d.oid from pg_database d where d.datname = current_database())
                            )
                        order by name, s.setdatabase desc  -- those for this database go before those for all
                    ) own
                    left join pg_settings known on known.name = own.name
                    where known.context = 'user' or (known.name is null and strpos(own.name, '.') > 0)
                ) as given,
                (
                    select json_agg(name)
                    from (
                        select t.name
                        from tables t
                        where found.name = (select json ->> 'anonymous' from asked)
                            and has_schema_privilege(found.oid, t.relnamespace, 'USAGE')
                            and (
                                has_table_privilege(found.oid, t.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                                or has_any_column_privilege(found.oid, t.oid, 'INSERT, UPDATE')
                            )
                        order by t.name
                        limit 4
                    ) written
                ) as writes
            from found
            where found.may_set and not (select rolsuper from login)
                or found.name in (select json_array_elements_text(json -> 'roles') from asked)
        ) described
    )
)
