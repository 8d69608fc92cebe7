"""Postgres: tables, the ledger, and the chunk transaction."""
