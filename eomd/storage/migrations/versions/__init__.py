"""One file per change of the tables, `vNNNN_what.py`, with `steps(table)`; never edited after a release."""
