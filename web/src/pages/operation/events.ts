/** How what happened to an operation is said: keys of the catalogue and what they are filled with. */
import { STATES, type State, type TimelineEvent } from "../../api/types";

export interface Phrase {
  key: string;
  named: Record<string, string>;
}

const ACTS = [
  "hand_in", "cancel", "pause", "resume", "approve", "reject", "expire", "commit", "retry", "undo", "undo-plan", "settle", "evidence",
] as const;
const VERDICT = /^(applied|not_applied|send_again): (.+)$/;

/** What happened; null for a note, whose text says it. */
export function headline({ what }: TimelineEvent): Phrase | null {
  if (STATES.includes(what as State)) return { key: `words.state.${what}`, named: {} };
  if (what === "note") return null;
  const act = ACTS.find((each) => each === what);
  return act ? { key: `operation.act.${act.replace("-", "_")}`, named: {} } : { key: "operation.act.other", named: { what } };
}

/** `user li`, `token mis for operator 12 (李)`, `token li of operator 7 (李)`, `uid 0`. */
export function whoSaid(who: string): Phrase {
  const user = /^user (.+)$/.exec(who);
  if (user?.[1]) return { key: "operation.who.user", named: { name: user[1] } };
  const acting = /^(.+) (?:for|of) operator (\d+)(?: \((.*)\))?$/.exec(who);
  if (acting) {
    const [, by = "", id = "", name] = acting;
    return { key: "operation.who.acting", named: { by: by.replace(/^token /, ""), name: name ?? id } };
  }
  const token = /^token (.+)$/.exec(who);
  if (token?.[1]) return { key: "operation.who.token", named: { name: token[1] } };
  if (/^uid \d+$/.test(who)) return { key: "operation.who.machine", named: {} };
  return { key: "operation.who.other", named: { name: who } };
}

/** The text of an event that the page has words of its own for; else it stands as it was written. */
export function ownWords({ what, text, by }: TimelineEvent): Phrase | "none" | null {
  // whose pause it is stands beside the state
  if (what === "paused" && by === "person") return "none";
  // who, what of, and why it waits: all of that stands elsewhere on the page
  if (what === "hand_in" || what === "awaiting_approval" || what === "expire" || text === null) return "none";
  const verdict = what === "settle" ? VERDICT.exec(text) : null;
  return verdict ? { key: `operation.verdict.${verdict[1]}`, named: {} } : null;
}

/** The newest operation that has undone it. */
export const undoIn = (events: readonly TimelineEvent[]): number | null =>
  events.reduce<number | null>((newest, { what, related }) => (what === "undo" && related !== null ? Math.max(newest ?? 0, related) : newest), null);

/** Rows of it that were settled as to be sent again: another operation has them, so that a retry takes them no more. */
export const sentAgainIn = (events: readonly TimelineEvent[]): number =>
  events.reduce((rows, { what, text }) => rows + (what === "settle" ? Number(/^send_again: (\d+)$/.exec(text ?? "")?.[1] ?? 0) : 0), 0);

/** Operations that came of it, the newest first, each once. */
export function childrenIn(events: readonly TimelineEvent[]): { id: number; act: Phrase }[] {
  const found = new Map<number, Phrase>();
  for (const event of events) {
    const said = headline(event);
    if (event.what !== "hand_in" && event.related !== null && said !== null) found.set(event.related, said);
  }
  return [...found].map(([id, act]) => ({ id, act })).sort((a, b) => b.id - a.id);
}
