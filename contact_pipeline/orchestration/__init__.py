"""Dagster: the asset, its job, sensors and schedules. Thin: what they do is in `importing` and `database`."""
