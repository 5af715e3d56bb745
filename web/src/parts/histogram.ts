/** Histograms of different ranges on bars of the same ranges, so that they can stand in one chart. */
import type { Histogram } from "../api/types";

const BARS = 20;

export interface Bars {
  /** one more than bars */
  edges: bigint[];
  /** of each histogram, rows per bar; the sum of each is what it was */
  counts: number[][];
  /** each bar is of one value, its lower edge */
  single: boolean;
}

/** Where there are few values each has a bar of its own; else a bar that lies across an edge goes to where its middle is. */
export function rebin(histograms: readonly Histogram[]): Bars {
  const [only] = histograms;
  if (only === undefined) return { edges: [], counts: [], single: false };
  const all = histograms.flatMap(({ edges }) => edges.map(BigInt));
  const low = all.reduce((least, edge) => (edge < least ? edge : least));
  const high = all.reduce((most, edge) => (edge > most ? edge : most));
  const width = high - low;
  if (width === 0n || (width < BigInt(BARS) && histograms.every(tellsValues))) {
    const values = Array.from({ length: Number(width) + 1 }, (_, step) => low + BigInt(step));
    return { edges: [...values, high + 1n], counts: histograms.map((histogram) => values.map((value) => rowsOf(histogram, value))), single: true };
  }
  if (histograms.length === 1) return { edges: only.edges.map(BigInt), counts: [only.counts], single: false };
  const bars = width < BigInt(BARS) ? Number(width) : BARS;
  const edges = Array.from({ length: bars + 1 }, (_, step) => low + (width * BigInt(step)) / BigInt(bars));
  return { edges, counts: histograms.map((histogram) => spread(histogram, edges)), single: false };
}

/** Whether each bar with rows has those of one value: an upper edge belongs to the next bar, that of the last one to it. */
const tellsValues = ({ edges, counts }: Histogram): boolean =>
  counts.every((rows, bar) => rows === 0 || BigInt(edges[bar + 1] ?? 0) - BigInt(edges[bar] ?? 0) <= (bar === counts.length - 1 ? 0n : 1n));

const rowsOf = ({ edges, counts }: Histogram, value: bigint): number =>
  counts.reduce((found, rows, bar) => (BigInt(edges[bar] ?? 0) === value ? found + rows : found), 0);

function spread({ edges, counts }: Histogram, onto: readonly bigint[]): number[] {
  const found = Array.from({ length: onto.length - 1 }, () => 0);
  counts.forEach((rows, bar) => {
    const middle = (BigInt(edges[bar] ?? 0) + BigInt(edges[bar + 1] ?? 0)) / 2n;
    const after = onto.findIndex((edge) => edge > middle);
    const place = after < 0 ? found.length - 1 : Math.max(0, after - 1);
    found[place] = (found[place] ?? 0) + rows;
  });
  return found;
}

/** Texts for the edges: short ones, unless two of them would read the same. */
export function labelEdges(edges: readonly bigint[], short: (edge: bigint) => string, exact: (edge: bigint) => string): string[] {
  const labels = edges.map(short);
  return new Set(labels).size === labels.length ? labels : edges.map(exact);
}
