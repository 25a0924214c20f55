-- Functions whose names could have been meant. $1: JSON array of names. First those that differ in schema or case alone,
-- with their arguments; then the names of others, people's own before those of extensions.
with wanted as (select lower(value) as name from json_array_elements_text(%s::json) value)
select coalesce(json_agg(row_to_json(found)), '[]')
from (
    select
        n.nspname as schema,
        p.proname as name,
        quote_ident(n.nspname) || '.' || quote_ident(p.proname) as sql,
        oidvectortypes(p.proargtypes) as arguments,
        n.nspname = any(current_schemas(true)) as is_visible
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    where
        n.nspname not in ('pg_catalog', 'information_schema')
        and n.nspname !~ '^pg_(toast|temp)'
        and p.prokind in ('f', 'p')
    order by
        lower(p.proname) in (select name from wanted) desc,
        exists (
            select from pg_depend d
            where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        ),
        n.nspname,
        p.proname,
        p.oid
    limit 300
) found
