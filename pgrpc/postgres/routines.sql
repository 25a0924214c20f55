-- The routines behind each listed name. $1: JSON {roles: names, functions: array of {entry, schema, name, oid}}; schema
-- null means "wherever the search_path finds it", an oid picks one overload.
with asked as (select %s::json as json)
select coalesce(json_agg(row_to_json(found) order by found.entry, found.signature), '[]')
from (
    select
        wanted.entry,
        n.nspname as schema,
        p.proname as name,
        p.oid::regprocedure::text as signature,
        p.prokind as kind,
        p.provolatile as volatility,
        p.proretset as returns_set,
        p.prorettype::int8 as returns,  -- an oid would come out as a string
        coalesce(p.proallargtypes, p.proargtypes::oid[])::int8[] as types,
        p.proargmodes as modes,
        p.proargnames as names,
        p.pronargdefaults as defaults,
        (
            select coalesce(json_agg(role), '[]')
            from asked, json_array_elements_text(asked.json -> 'roles') role
            where has_schema_privilege(role, n.oid, 'USAGE') and has_function_privilege(role, p.oid, 'EXECUTE')
        ) as executable_by,
        (
            select coalesce(json_agg(role), '[]')
            from asked, json_array_elements_text(asked.json -> 'roles') role
            where not has_schema_privilege(role, n.oid, 'USAGE')
        ) as lacks_usage,
        (
            select coalesce(json_agg(role), '[]')
            from asked, json_array_elements_text(asked.json -> 'roles') role
            where not has_function_privilege(role, p.oid, 'EXECUTE')
        ) as lacks_execute,
        has_function_privilege('public', p.oid, 'EXECUTE') as is_public,
        p.prosecdef and not exists (
            select from unnest(p.proconfig) setting where setting like 'search_path=%%'
        ) as is_open_definer,
        obj_description(p.oid, 'pg_proc') as description
    from asked
    cross join json_to_recordset(asked.json -> 'functions') as wanted(entry int, schema text, name text, oid int8)
    join pg_proc p on
        case
            when wanted.oid is not null then p.oid = wanted.oid
            else p.proname = wanted.name
        end
    join pg_namespace n on n.oid = p.pronamespace
    where
        wanted.oid is not null
        or n.nspname = wanted.schema
        or (
            wanted.schema is null
            and pg_function_is_visible(p.oid)
            -- A name that is somebody's own does not mean the built-in functions of that name too.
            and (
                n.nspname <> 'pg_catalog'
                or not exists (
                    select from pg_proc own
                    where own.proname = p.proname
                        and own.pronamespace <> p.pronamespace
                        and pg_function_is_visible(own.oid)
                )
            )
        )
) found
