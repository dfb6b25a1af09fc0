"""The database: tables on one page, sessions, one module of queries per noun. Only importer of sqlalchemy."""
