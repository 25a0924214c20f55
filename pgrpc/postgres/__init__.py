"""The only room that talks to PostgreSQL: it alone imports aiopg and psycopg2."""
