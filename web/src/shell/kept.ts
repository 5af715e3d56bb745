/** What a browser keeps of a person's choices. Where it keeps nothing (private windows, full), nothing is lost but that. */

const PREFIX = "eomd.";

export function kept<Value extends string>(name: string, allowed: readonly Value[]): Value | null {
  const value = keptText(name);
  return allowed.find((each) => each === value) ?? null;
}

export function keptText(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** null forgets it. */
export function keep(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // chosen for this visit alone
  }
}
