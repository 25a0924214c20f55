-- The given types and every type inside them. $1: JSON array of oids.
with recursive needed(oid) as (
    select value::oid from json_array_elements_text(%s::json) value
    union
    select inner_type.oid
    from needed
    join pg_type t on t.oid = needed.oid
    cross join lateral (
        select t.typbasetype where t.typtype = 'd'
        union all
        select t.typelem where t.typcategory = 'A'
        union all
        select a.atttypid from pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) inner_type(oid)
    where inner_type.oid <> 0
)
select coalesce(json_agg(row_to_json(described)), '[]')
from (
    select
        t.oid::int8,  -- an oid would come out as a string
        quote_ident(n.nspname) || '.' || quote_ident(t.typname) as sql,
        format_type(t.oid, null) as name,
        t.typtype as kind,
        t.typcategory = 'A' and t.typelem <> 0 as is_array,
        case when t.typtype = 'd' then t.typbasetype::int8 when t.typcategory = 'A' then t.typelem::int8 end as "of",
        t.typtypmod as typmod,
        t.typnotnull as not_null,
        (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels,
        (
            select json_agg(json_build_array(a.attname, a.atttypid::int8, a.atttypmod) order by a.attnum)
            from pg_attribute a
            where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
        ) as attributes
    from needed
    join pg_type t on t.oid = needed.oid
    join pg_namespace n on n.oid = t.typnamespace
) described
