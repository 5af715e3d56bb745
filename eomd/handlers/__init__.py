"""Being asked: thin Tornado handlers, one file per resource; no SQL, no frames, no CSV."""
