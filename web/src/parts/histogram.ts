/** Histograms of different ranges on bars of the same ranges, so that they can stand in one chart. */
import type { Histogram } from "../api/types";

const BARS = 20;

export interface Bars {
  /** one more than bars */
  edges: bigint[];
  /** of each histogram, rows per bar; the sum of each is what it was */
  counts: number[][];
}

/** A bar that lies across an edge goes to where its middle is. */
export function rebin(histograms: readonly Histogram[]): Bars {
  const [only] = histograms;
  if (only === undefined) return { edges: [], counts: [] };
  if (histograms.length === 1) return { edges: only.edges.map(BigInt), counts: [only.counts] };
  const all = histograms.flatMap(({ edges }) => edges.map(BigInt));
  const low = all.reduce((least, edge) => (edge < least ? edge : least));
  const high = all.reduce((most, edge) => (edge > most ? edge : most));
  const width = high - low;
  if (width === 0n) return { edges: [low, high], counts: histograms.map(({ counts }) => [sum(counts)]) };
  const bars = width < BigInt(BARS) ? Number(width) : BARS;
  const edges = Array.from({ length: bars + 1 }, (_, step) => low + (width * BigInt(step)) / BigInt(bars));
  return { edges, counts: histograms.map((histogram) => spread(histogram, edges)) };
}

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

const sum = (counts: readonly number[]) => counts.reduce((total, rows) => total + rows, 0);

/** Texts for the edges: short ones, unless two of them would read the same. */
export function labelEdges(edges: readonly bigint[], short: (edge: bigint) => string, exact: (edge: bigint) => string): string[] {
  const labels = edges.map(short);
  return new Set(labels).size === labels.length ? labels : edges.map(exact);
}
