/** Times in the browser's zone, durations in words. `now` is an argument: pure. */
import type { Time } from "../api/types";

const DAY_MS = 86_400_000;

/** As short as it can be said: the time alone today, without the year this year. */
export function formatTime(time: Time, language: string, now: Date, timeZone?: string): string {
  const moment = new Date(time);
  const zone = timeZone === undefined ? {} : { timeZone };
  const day = (date: Date) => date.toLocaleDateString("en-CA", zone);
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...zone } as const;
  if (day(moment) === day(now)) return new Intl.DateTimeFormat(language, clock).format(moment);
  const sameYear = day(moment).slice(0, 4) === day(now).slice(0, 4);
  const date = { month: "short", day: "numeric", ...(sameYear ? {} : { year: "numeric" as const }) } as const;
  return new Intl.DateTimeFormat(language, { ...date, ...clock, second: undefined }).format(moment);
}

/** To the millisecond, with the zone: for whoever compares it with a log. */
export function formatExactTime(time: Time, language: string, timeZone?: string): string {
  return new Intl.DateTimeFormat(language, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
    hourCycle: "h23",
    timeZoneName: "longOffset",
    ...(timeZone === undefined ? {} : { timeZone }),
  }).format(new Date(time));
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", DAY_MS],
  ["hour", 3_600_000],
  ["minute", 60_000],
  ["second", 1_000],
];

/** 5 minutes ago, in 2 hours. */
export function formatAgo(time: Time, language: string, now: Date): string {
  const ms = new Date(time).getTime() - now.getTime();
  const [unit, size] = STEPS.find(([, step]) => Math.abs(ms) >= step) ?? ["second", 1_000];
  return new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.trunc(ms / size), unit);
}

const PARTS: [string, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** Two units at most: 2 hr 5 min, 3 min 20 sec, 0.4 sec. */
export function formatSeconds(seconds: number, language: string): string {
  const say = (value: number, unit: string, places = 0) =>
    new Intl.NumberFormat(language, {
      style: "unit",
      unit,
      unitDisplay: "short",
      maximumFractionDigits: places,
    }).format(value);
  if (seconds < 10) return say(seconds, "second", 1);
  let rest = Math.round(seconds);
  const said: string[] = [];
  for (const [unit, size] of PARTS) {
    if (rest >= size && said.length < 2) said.push(say(Math.floor(rest / size), unit));
    rest %= size;
  }
  return said.join(" ");
}
