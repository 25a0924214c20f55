"""PostgreSQL: connections, calls and LISTEN. The only package that imports aiopg and psycopg2."""
