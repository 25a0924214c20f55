-- The functions of the user's own schemas: neither PostgreSQL's nor those that an extension brought.
with found as (
    select p.oid, n.nspname, p.proname, p.prokind, p.prosrc, p.proargtypes
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema')
        and n.nspname !~ '^pg_(toast|temp)'
        and not exists (
            select from pg_catalog.pg_depend d
            where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
        )
)
select json_build_object(
    'database', current_database(),
    'role', session_user,
    'functions', (
        select coalesce(json_agg(row_to_json(described)), '[]')
        from (
            select
                f.nspname as schema,
                f.proname as name,
                format('%I(%s)', f.proname, pg_get_function_arguments(f.oid))
                    || coalesce(' returns ' || pg_get_function_result(f.oid), '') as signature,
                (
                    select coalesce(string_agg(format_type(t.oid, null), ',' order by t.position), '')
                    from unnest(f.proargtypes) with ordinality t(oid, position)
                ) as types,
                pg_function_is_visible(f.oid) as is_visible,
                obj_description(f.oid, 'pg_proc') as description
            from found f
            order by f.nspname, f.proname, pg_get_function_arguments(f.oid)
        ) described
    ),
    'bodies', (
        select coalesce(json_agg(row_to_json(body)), '[]')
        from (
            select
                coalesce(nullif(f.prosrc, ''), pg_get_function_sqlbody(f.oid), '') as text,
                (
                    -- Each argument ends with a zero byte, which "escape" writes as \000.
                    select coalesce(json_agg(string_to_array(encode(t.tgargs, 'escape'), '\000')), '[]')
                    from pg_catalog.pg_trigger t
                    where t.tgfoid = f.oid and t.tgnargs > 0
                ) as triggers
            from found f
        ) body
    )
)
