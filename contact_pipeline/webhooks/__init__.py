"""Telling others what becomes of imports: messages of the outbox, sent to the addresses that owners have named."""
