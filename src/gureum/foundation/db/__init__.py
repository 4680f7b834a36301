"""The database: engine, transactions, types, paging, migrations. Knows no table of any service."""
