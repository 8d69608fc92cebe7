"""Sample files, for the demo, the tests and the benchmarks."""
