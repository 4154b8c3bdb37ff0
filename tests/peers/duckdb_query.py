"""Runs one query of DuckDB and prints its rows as JSON, for the tests that count record files from outside.

Usage: duckdb_query.py QUERY
"""
import json
import sys

import duckdb

connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
print(json.dumps(connection.execute(sys.argv[1]).fetchall(), default=str))
