"""The doors of the upload service: one session core, reached in several ways."""
