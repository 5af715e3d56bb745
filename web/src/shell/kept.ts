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

// how often somebody has logged out in this tab: each time, what was kept for a reload is nobody's any more
const LEFT = `${PREFIX}left`;
let left = 0;

/** Counts one person's stay in this tab: over a reload and an expired session, until they log out. */
export function stay(): number {
  try {
    return Number(sessionStorage.getItem(LEFT) ?? left);
  } catch {
    return left;
  }
}

export function endStay(): void {
  left = stay() + 1;
  try {
    sessionStorage.setItem(LEFT, String(left));
  } catch {
    // until the next reload
  }
}
