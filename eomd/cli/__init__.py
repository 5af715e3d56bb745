"""The commands. Each imports what it needs when it runs, so that `eomd up` stays small."""
