/** Clusters and EIDs by name, for choosing and showing what somebody may reach. */
import type { Cluster, Definitions, EidDefinition } from "../../api/types";

export interface ClusterChoice {
  name: string;
  title: string;
}

/** Every cluster that is configured, defined or granted already, by name. */
export function clusterChoices(
  definitions: Pick<Definitions, "clusters" | "eids">,
  configured: readonly Pick<Cluster, "name" | "title">[],
  granted: readonly string[] = [],
): ClusterChoice[] {
  const titles = new Map<string, string>();
  for (const name of [...definitions.eids.map(({ cluster }) => cluster), ...granted]) titles.set(name, "");
  for (const { name, title } of [...definitions.clusters, ...configured]) titles.set(name, title || titles.get(name) || "");
  const choices = [...titles].map(([name, title]) => ({ name, title: title === name ? "" : title }));
  return choices.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** An EID has a name in each cluster: all of them, each once. */
export function eidNames(eids: readonly EidDefinition[], clusters: readonly string[] | null = null): Map<number, string> {
  const names = new Map<number, Set<string>>();
  for (const { cluster, eid, name } of eids) {
    if (clusters !== null && !clusters.includes(cluster)) continue;
    const known = names.get(eid) ?? new Set();
    if (name) known.add(name);
    names.set(eid, known);
  }
  return new Map([...names].map(([eid, known]) => [eid, [...known].join(" / ")]));
}

export const EID_MAX = 4_294_967_295;

/** The number that a search asks for, where it is one that an EID can have. */
export function eidOf(search: string): number | null {
  const text = search.normalize("NFKC").trim();
  const eid = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return eid >= 1 && eid <= EID_MAX ? eid : null;
}

/** What a list offers: first what is chosen, then what the search finds, `limit` in all; and how many more there are. */
export function eidChoices(
  names: ReadonlyMap<number, string>,
  chosen: readonly number[],
  search: string,
  limit: number,
): { eids: number[]; more: number } {
  const wanted = search.normalize("NFKC").trim().toLowerCase();
  const found = [...names]
    .filter(([eid, name]) => !chosen.includes(eid) && (String(eid).includes(wanted) || name.toLowerCase().includes(wanted)))
    .map(([eid]) => eid)
    .sort((a, b) => a - b);
  const typed = eidOf(search);
  // one that nobody has defined yet can be granted all the same
  if (typed !== null && !names.has(typed) && !chosen.includes(typed)) found.unshift(typed);
  const all = [...[...chosen].sort((a, b) => a - b), ...found];
  const shown = Math.max(limit, chosen.length);
  return { eids: all.slice(0, shown), more: Math.max(0, all.length - shown) };
}
