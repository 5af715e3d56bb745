/** Numbers as people read them. Integers may be strings of digits: they are never taken through a float. */
import type { Int } from "../api/types";

/** Every whole number with separators, exactly: 9,223,372,036,854,775,807. */
export function formatInt(value: Int | bigint, language: string): string {
  return new Intl.NumberFormat(language).format(typeof value === "bigint" ? value : BigInt(value));
}

/** With a sign, for changes: +5, −5, 0. */
export function formatChange(value: Int | bigint, language: string): string {
  const change = BigInt(value);
  const digits = formatInt(change < 0n ? -change : change, language);
  if (change === 0n) return digits;
  return (change < 0n ? "−" : "+") + digits;
}

/** figures of a float that are true, however large it is */
const FIGURES = 15;

/** A number that need not be exact; one that cannot be says so. */
export function formatNumber(value: number, language: string, places = 1): string {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    return `≈ ${new Intl.NumberFormat(language, { maximumSignificantDigits: FIGURES }).format(value)}`;
  }
  return new Intl.NumberFormat(language, { maximumFractionDigits: places }).format(value);
}

/** Three figures and a unit of thousands: 1.23M, 12.3万. */
export function formatShort(value: Int | bigint, language: string): string {
  const form = new Intl.NumberFormat(language, { notation: "compact", maximumSignificantDigits: 3, useGrouping: true });
  return form.format(BigInt(value));
}

/** 0 … 100, rounded down: nothing is said to be whole before it is. */
export function percentOf(part: number, whole: number): number {
  return whole > 0 ? Math.min(100, Math.floor((part / whole) * 100)) : 0;
}

const UNITS = ["B", "KB", "MB", "GB", "TB"];

export function formatBytes(bytes: number, language: string): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${formatNumber(bytes / 1024 ** power, language, power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/** A whole number as somebody types it, separators of thousands and full-width digits allowed; null for anything else. */
export function parseInteger(text: string): bigint | null {
  const plain = text
    .normalize("NFKC")
    .trim()
    .replace(/^−/, "-");
  if (!/^-?(\d+|\d{1,3}([, ]\d{3})+)$/.test(plain)) return null;
  return BigInt(plain.replace(/[, ]/g, ""));
}
