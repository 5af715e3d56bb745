"""Making eomd a service of systemd, and taking it away: user, folders, units. Blocks; for root."""
