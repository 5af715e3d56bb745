"""Keeping things: ledger, spool, files, CSV and checkpoints. The only room with SQL and CSV in it."""
