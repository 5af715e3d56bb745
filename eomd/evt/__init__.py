"""Speaking to clusters: codec, connection, pool and the simulated cluster. Knows nothing of files or SQL."""
