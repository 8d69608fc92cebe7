"""What is measured, beside what: `make bench`."""
