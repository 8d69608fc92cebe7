"""From an object's bytes to 10,000-row chunks. No database, no Dagster."""
