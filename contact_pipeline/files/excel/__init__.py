"""Workbooks: turned into CSV by a child process. Nothing else imports the worker or the reader of `.xlsx`."""
