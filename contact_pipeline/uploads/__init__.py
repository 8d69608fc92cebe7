"""The upload service: files go into S3 in parts, and imports are watched and cancelled, over HTTP."""
