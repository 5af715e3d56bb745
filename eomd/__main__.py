"""`python -m eomd`: how the watchdog starts the server."""

from eomd.cli.main import main

main()
