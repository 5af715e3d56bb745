/** What may become of a row, as docs/files.md has it. */
export const STATUSES = [
  "OK", "SUPERSEDED", "NO_SUCH_USER", "NO_SUCH_EID", "OUT_OF_RANGE", "USER_LOCKED", "READ_ONLY", "CONFLICT",
  "TOKEN_MISUSED", "BUSY", "INTERNAL", "UNCERTAIN", "NOT_SENT",
] as const;

export const isKnownStatus = (name: string): boolean => (STATUSES as readonly string[]).includes(name);
