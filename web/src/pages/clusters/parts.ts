/** How the parts beside the clusters stand, of what /health tells. Pure. */
import type { Components, Time } from "../../api/types";

export const PARTS = ["server", "ledger", "inbox", "disk", "watchdog", "clock"] as const;
export type Part = (typeof PARTS)[number];

export interface Standing {
  part: Part;
  state: string;
  since: Time | null;
  /** a person should do something about it */
  ill: boolean;
}

const WELL: readonly string[] = ["up", "ready", "present", "watching", "polling", "steady", "off", "starting", "unknown"];

/** Who sees more counts: the probe may know of a ledger that takes no writes, the watchdog of a server that is slow. */
export function standings(components: Components): Standing[] {
  const { server, ledger, inbox, disk, watchdog, clock } = components;
  const probed = ledger.state === "up" && ledger.probe === "read_only" ? ledger.probe : ledger.state;
  const watched = server.state === "ready" ? (watchdog.server?.state ?? server.state) : server.state;
  const told: Record<Part, { state: string; since?: Time | null | undefined }> = {
    server: { state: watched, since: watched === server.state ? server.since : watchdog.server?.since },
    ledger: { state: probed, since: probed === ledger.state ? ledger.since : null },
    inbox: inbox ?? { state: "unknown" },
    disk,
    watchdog,
    clock: clock ?? { state: "unknown" },
  };
  return PARTS.map((part) => {
    const { state, since } = told[part];
    return { part, state, since: since ?? null, ill: !WELL.includes(state) };
  });
}
