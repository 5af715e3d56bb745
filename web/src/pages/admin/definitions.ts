/** Definitions as they are edited: what is wrong, what changed, and how changes go onto what others saved meanwhile. */
import type { Definitions, EidDefinition, Int } from "../../api/types";
import { parseInteger } from "../../format/numbers";
import { eidOf } from "./grants";

export const NAME_MAX = 255;
export const UNIT_MAX = 32;
const VALUE_MAX = 2n ** 63n - 1n;
const VALUE_MIN = -(2n ** 63n);

export type EidField = "name" | "unit" | "minimum" | "maximum" | "editable";
export const EID_FIELDS: readonly EidField[] = ["name", "unit", "minimum", "maximum", "editable"];

export type Change =
  | { what: "added"; cluster: string; eid: number; entry: EidDefinition }
  | { what: "removed"; cluster: string; eid: number; entry: EidDefinition }
  | { what: "changed"; cluster: string; eid: number; entry: EidDefinition; before: EidDefinition; fields: EidField[] }
  /** null: the cluster has no title of its own */
  | { what: "titled"; cluster: string; title: string | null; before: string | null };

export const keyOf = ({ cluster, eid }: { cluster: string; eid: number }) => `${cluster} ${eid}`;
const same = (a: Int | boolean | null, b: Int | boolean | null) => String(a) === String(b);

/** What one would tell somebody about it: by cluster and EID, titles first. */
export function compare(before: Definitions, after: Definitions): Change[] {
  const [oldTitles, titles] = [titlesOf(before), titlesOf(after)];
  const [oldEids, eids] = [entriesOf(before), entriesOf(after)];
  const titled = [...new Set([...oldTitles.keys(), ...titles.keys()])]
    .map((cluster) => ({ cluster, title: titles.get(cluster) ?? null, before: oldTitles.get(cluster) ?? null }))
    .filter(({ title, before: old }) => title !== old)
    .map((change) => ({ what: "titled" as const, ...change }));
  const changes: Change[] = [];
  for (const [key, entry] of eids) {
    const { cluster, eid } = entry;
    const old = oldEids.get(key);
    const fields = old === undefined ? [] : EID_FIELDS.filter((field) => !same(old[field], entry[field]));
    if (old === undefined) changes.push({ what: "added", cluster, eid, entry });
    else if (fields.length > 0) changes.push({ what: "changed", cluster, eid, entry, before: old, fields });
  }
  for (const [key, entry] of oldEids) {
    if (!eids.has(key)) changes.push({ what: "removed", cluster: entry.cluster, eid: entry.eid, entry });
  }
  return [...titled, ...changes.sort(byPlace)];
}

const titlesOf = ({ clusters }: Definitions) => new Map(clusters.map(({ name, title }) => [name, title]));
const entriesOf = ({ eids }: Definitions) => new Map(eids.map((entry) => [keyOf(entry), entry]));

function byPlace(a: Change, b: Change): number {
  if (a.cluster !== b.cluster) return a.cluster < b.cluster ? -1 : 1;
  return "eid" in a && "eid" in b ? a.eid - b.eid : 0;
}

/** Does the same changes to other definitions: those that somebody else has saved since. */
export function carryOver(changes: readonly Change[], onto: Definitions): Definitions {
  const [titles, entries] = [titlesOf(onto), entriesOf(onto)];
  for (const change of changes) {
    if (change.what === "titled") {
      if (change.title === null) titles.delete(change.cluster);
      else titles.set(change.cluster, change.title);
    } else if (change.what === "removed") entries.delete(keyOf(change));
    else if (change.what === "added") entries.set(keyOf(change), change.entry);
    else {
      const theirs = entries.get(keyOf(change)) ?? change.before;
      const mine = Object.fromEntries(change.fields.map((field) => [field, change.entry[field]]));
      entries.set(keyOf(change), { ...theirs, ...mine });
    }
  }
  return {
    clusters: [...titles].map(([name, title]) => ({ name, title })),
    eids: [...entries.values()].sort((a, b) => (a.cluster === b.cluster ? a.eid - b.eid : a.cluster < b.cluster ? -1 : 1)),
  };
}

/** Clusters whose last EID is removed: any EID is accepted for them then. */
export function emptied(before: Definitions, after: Definitions): string[] {
  const left = new Set(after.eids.map(({ cluster }) => cluster));
  return [...new Set(before.eids.map(({ cluster }) => cluster))].filter((cluster) => !left.has(cluster));
}

/** As it is typed. */
export interface EidForm {
  eid: string;
  name: string;
  unit: string;
  minimum: string;
  maximum: string;
  editable: boolean;
}

export const formOf = (entry: EidDefinition | null): EidForm => ({
  eid: String(entry?.eid ?? ""),
  name: entry?.name ?? "",
  unit: entry?.unit ?? "",
  minimum: String(entry?.minimum ?? ""),
  maximum: String(entry?.maximum ?? ""),
  editable: entry?.editable ?? true,
});

/** `taken`: EIDs that the cluster has already, the edited one aside. Field → last part of a text's key. */
export function wrongInEid(form: EidForm, taken: readonly number[]): Partial<Record<keyof EidForm, string>> {
  const wrong: Partial<Record<keyof EidForm, string>> = {};
  const eid = eidOf(form.eid);
  if (eid === null) wrong.eid = "eid";
  else if (taken.includes(eid)) wrong.eid = "twice";
  if ([...form.name.trim()].length > NAME_MAX) wrong.name = "long";
  if ([...form.unit.trim()].length > UNIT_MAX) wrong.unit = "longUnit";
  const [minimum, maximum] = [boundOf(form.minimum), boundOf(form.maximum)];
  if (minimum === undefined) wrong.minimum = "bound";
  if (maximum === undefined) wrong.maximum = "bound";
  if (typeof minimum === "bigint" && typeof maximum === "bigint" && maximum < minimum) wrong.maximum = "order";
  return wrong;
}

/** null: no limit. undefined: no number that a counter can have. */
function boundOf(text: string): bigint | null | undefined {
  if (text.trim() === "") return null;
  const value = parseInteger(text);
  return value !== null && value >= VALUE_MIN && value <= VALUE_MAX ? value : undefined;
}

/** A form without anything wrong as it is sent: integers beyond 2^53 as digits. */
export function entryOf(form: EidForm, cluster: string): EidDefinition {
  const bound = (text: string) => boundOf(text)?.toString() ?? null;
  return {
    cluster,
    eid: eidOf(form.eid) ?? 0,
    name: form.name.trim(),
    unit: form.unit.trim(),
    minimum: bound(form.minimum),
    maximum: bound(form.maximum),
    editable: form.editable,
  };
}

/** EIDs of a cluster by number, name or unit. */
export function search(eids: readonly EidDefinition[], cluster: string, wanted: string): EidDefinition[] {
  const text = wanted.normalize("NFKC").trim().toLowerCase();
  return eids.filter(
    (entry) => entry.cluster === cluster && [String(entry.eid), entry.name, entry.unit].some((each) => each.toLowerCase().includes(text)),
  );
}

/** Which entry and field a problem of the whole means: `eids.3.maximum` of what was sent. */
export function placeOf(field: string, sent: Definitions): { cluster: string; eid: number | null; field: string } | null {
  const [list, index, name = ""] = field.split(".");
  if (list === "eids") {
    const entry = sent.eids[Number(index)];
    return entry ? { cluster: entry.cluster, eid: entry.eid, field: name } : null;
  }
  const entry = list === "clusters" ? sent.clusters[Number(index)] : undefined;
  return entry ? { cluster: entry.name, eid: null, field: name } : null;
}
