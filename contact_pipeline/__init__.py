"""Import huge contact files into Postgres, on Dagster."""

import os

# Read by the allocator inside Polars when that is first imported: freed memory goes back within 0.1 s, not never.
# On 400,000 rows a run's peak was 421 MB with it and 455 MB without, for 4 % of time. With one arena it is 6 MiB less
# than with two, and as fast (300,000 rows).
os.environ.setdefault("_RJEM_MALLOC_CONF", "background_thread:true,dirty_decay_ms:100,muzzy_decay_ms:0,narenas:1")
