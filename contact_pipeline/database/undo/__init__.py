"""Undo: contacts become what the imports that still stand give. Knows the database, no file and no S3."""
