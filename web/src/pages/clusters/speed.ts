/** A cluster's speed as somebody types it. Pure. */
import { parseInteger } from "../../format/numbers";

const SPEED_MAX = 2n ** 31n - 1n;

/** Rows per second, 0 for no limit; null for what is none. */
export function parseSpeed(text: string): number | null {
  const speed = parseInteger(text);
  return speed === null || speed < 0n || speed > SPEED_MAX ? null : Number(speed);
}
