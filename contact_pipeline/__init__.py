"""Import huge contact files into Postgres, on Dagster."""
