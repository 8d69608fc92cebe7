"""The command line: `contact-pipeline`. It may know everything below it."""
