"""HTTP routers: they parse, call a service and serialise. They know no SQL, no S3 and no Redis."""
