import { expect, it } from "vitest";

import type { Components } from "../../api/types";
import { standings } from "./parts";

const SINCE = "2026-01-31T08:00:00+00:00";
const LATER = "2026-01-31T09:00:00+00:00";
const watched = (state: string) => ({ state, since: LATER, pid: 5, failures: 0, rss_mb: 99 });
const components = (more: Partial<Components> = {}): Components => ({
  server: { state: "ready", since: SINCE, requests: 1 },
  ledger: { state: "up", since: SINCE, latency_ms: 1, last_error: null, spooled: 0, probe: "up" },
  clusters: {},
  operations: { queued: 0, running: 0 },
  disk: { state: "up", since: SINCE, free_mb: 100, min_free_mb: 16 },
  watchdog: { state: "present", since: SINCE, incidents_open: 0, server: watched("ready") },
  inbox: { state: "off" },
  clock: { state: "steady", since: SINCE, jump_s: 0 },
  ...more,
});
const of = (more: Partial<Components>, part: string) => standings(components(more)).find((each) => each.part === part);

it("finds nothing to do where all is well", () => {
  expect(standings(components()).filter(({ ill }) => ill)).toEqual([]);
  expect(of({}, "server")).toEqual({ part: "server", state: "ready", since: SINCE, ill: false });
});

it("believes the watchdog about the server, but not that it is ready while it drains", () => {
  const slow = { state: "present", since: SINCE, server: watched("slow") } as const;
  expect(of({ watchdog: slow }, "server")).toMatchObject({ state: "slow", since: LATER, ill: true });
  expect(of({ server: { state: "draining", since: SINCE, requests: 0 } }, "server")).toMatchObject({ state: "draining", ill: true });
});

it("believes the probe about a ledger that takes no writes", () => {
  const ledger = { ...components().ledger, probe: "read_only" };
  expect(of({ ledger }, "ledger")).toMatchObject({ state: "read_only", ill: true });
  expect(of({ ledger: { ...ledger, state: "down", probe: "down" } }, "ledger")).toMatchObject({ state: "down", since: SINCE });
});

it("says without a watchdog that nobody knows", () => {
  const alone = components({ watchdog: { state: "absent", since: LATER } });
  delete alone.inbox;
  delete alone.clock;
  const states = Object.fromEntries(standings(alone).map(({ part, state, ill }) => [part, [state, ill]]));
  expect(states).toMatchObject({ watchdog: ["absent", true], inbox: ["unknown", false], clock: ["unknown", false], server: ["ready", false] });
});
