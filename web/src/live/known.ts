/** The operations that the page knows of: what came last of each, the ended ones only so many. */
import type { Operation, State } from "../api/types";

export const ENDED_MAX = 200;
export const UNFINISHED: readonly State[] = ["queued", "awaiting_approval", "running", "paused"];

export const isUnfinished = (operation: Operation): boolean => UNFINISHED.includes(operation.state);

/** What the server says about itself, where that is more than the state tells already. */
export const messageOf = ({ message, state, paused_by: by }: Operation): string | null =>
  state === "paused" && by === "person" ? null : message;

/** Takes an operation in. What has ended stays ended: a list may be older than the stream's last word. */
export function learn(known: Map<number, Operation>, news: Operation): void {
  const former = known.get(news.id);
  if (former !== undefined && !isUnfinished(former) && isUnfinished(news)) return;
  known.set(news.id, news);
  forget(known);
}

function forget(known: Map<number, Operation>): void {
  if (known.size <= ENDED_MAX) return;
  const ended = [...known.values()].filter((operation) => !isUnfinished(operation)).map(({ id }) => id);
  const tooMany = ended.sort((a, b) => a - b).slice(0, Math.max(0, ended.length - ENDED_MAX));
  for (const id of tooMany) known.delete(id);
}
