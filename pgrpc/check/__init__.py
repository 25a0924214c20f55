"""The file and the database: what is served, or everything that is wrong between them."""
