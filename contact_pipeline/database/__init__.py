"""Postgres: tables, and the statements on them. Calls nothing above it."""
