/** Since when a cluster is as it is. Pure. */
import type { Cluster, Node, Time } from "../api/types";

const earliest = (times: Time[]) => times.reduce((a, b) => (new Date(b) < new Date(a) ? b : a));
const latest = (times: Time[]) => times.reduce((a, b) => (new Date(b) > new Date(a) ? b : a));
const since = (nodes: Node[]) => nodes.map((node) => node.since);

/**
 * Since when a cluster is in its state, as its nodes tell. Wholly up or down: since the last node turned so. Partly:
 * since there have been both. Nobody tells since when one is drained: null.
 */
export function clusterSince({ state, nodes }: Pick<Cluster, "state" | "nodes">): Time | null {
  if (state === "drained" || nodes.length === 0) return null;
  const up = nodes.filter((node) => node.state === "up");
  const other = nodes.filter((node) => node.state !== "up");
  if (up.length === 0 || other.length === 0) return latest(since(nodes));
  return latest([earliest(since(up)), earliest(since(other))]);
}
