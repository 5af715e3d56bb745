/** What the clusters did of late, joined of what was told at different times. Pure. */
import type { Activity, Series } from "../api/types";

const startOf = (activity: Activity) => new Date(activity.start).getTime();
const endOf = (activity: Activity) => startOf(activity) + activity.points * activity.step_s * 1000;

/** The middle of each step, in milliseconds since 1970. */
export function timesOf({ start, points, step_s }: Activity): number[] {
  const first = new Date(start).getTime() + step_s * 500;
  return Array.from({ length: points }, (_, index) => first + index * step_s * 1000);
}

/** How many minutes to ask for, so long after the last answer (null: there was none), so that nothing is missed. */
export function minutesMissed(sinceMs: number | null): number {
  return sinceMs === null ? 60 : Math.min(60, Math.max(1, Math.ceil(sinceMs / 60_000)) + 1);
}

/**
 * The newest `points` steps of both. Steps are told at the same times while the server lives; another life's begin
 * elsewhere, and are moved to the nearest. What a server cannot know of, the time before its start, stays as it was.
 */
export function joinActivity(known: Activity | null, news: Activity, points = 360): Activity {
  const step = news.step_s * 1000;
  const start = endOf(news) - points * step;
  const placed = (activity: Activity, own: Series): Series => {
    const shift = Math.round((startOf(activity) - start) / step);
    const put = (values: (number | null)[]) => Array.from({ length: points }, (_, index) => values[index - shift] ?? null);
    return { rows_per_s: put(own.rows_per_s), latency_ms: put(own.latency_ms) };
  };
  const fits = known !== null && known.step_s === news.step_s ? known : null;
  const join = (former: Series | undefined, latter: Series): Series => {
    const after = placed(news, latter);
    if (fits === null || former === undefined) return after;
    const before = placed(fits, former);
    const told = after.rows_per_s.map((value) => value !== null);
    return {
      rows_per_s: told.map((is, index) => (is ? after : before).rows_per_s[index] ?? null),
      latency_ms: told.map((is, index) => (is ? after : before).latency_ms[index] ?? null),
    };
  };
  return {
    step_s: news.step_s,
    start: new Date(start).toISOString(),
    points,
    ...join(fits ?? undefined, news),
    clusters: news.clusters.map(({ name, nodes, ...own }) => {
      const former = fits?.clusters.find((cluster) => cluster.name === name);
      const nodeOf = (address: string) => former?.nodes.find((node) => node.address === address);
      return {
        name,
        ...join(former, own),
        nodes: nodes.map(({ address, ...series }) => ({ address, ...join(nodeOf(address), series) })),
      };
    }),
  };
}

/** The newest value that is known, the largest one, and whether there is any. */
export function figuresOf(values: readonly (number | null)[]) {
  const known = values.filter((value) => value !== null);
  return { last: known.at(-1) ?? null, largest: known.length > 0 ? Math.max(...known) : null };
}
