"""One import's steps as plain functions: open, load, verify, publish. No Dagster."""
