/** How long to wait before the next try. */

export const FIRST_MS = 500;
export const LONGEST_MS = 15_000;

/** Doubles up to LONGEST_MS; `spread` (0 … 1) keeps many pages from coming back at the same moment. */
export function pauseMs(attempt: number, spread: number): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(whole * (0.5 + spread / 2));
}
