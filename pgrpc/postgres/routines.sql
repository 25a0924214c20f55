-- The routines behind each listed name. $1: JSON array of {method, schema, name, signature}; schema null means
-- "wherever the search_path finds it", a signature picks one overload.
select coalesce(pg_catalog.json_agg(row_to_json(found) order by found.method, found.signature), '[]')
from (
    select
        wanted.method,
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
        has_schema_privilege(n.oid, 'USAGE') and has_function_privilege(p.oid, 'EXECUTE') as may_execute,
        obj_description(p.oid, 'pg_proc') as description
    from json_to_recordset(%s::json) as wanted(method text, schema text, name text, signature text)
    join pg_proc p on
        case
            when wanted.signature is not null then p.oid = to_regprocedure(wanted.signature)
            else p.proname = wanted.name
        end
    join pg_namespace n on n.oid = p.pronamespace
    where
        wanted.signature is not null
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
