/** Rows per second, of how far an operation was at each look. */

/** a look each */
export const STEP_MS = 1_000;
/** what is kept; of more every second one goes */
export const SAMPLES_MAX = 600;
/** looks that a rate is the mean over: progress is told in steps of its own */
const OVER = 3;

export interface Sample {
  ms: number;
  /** rows answered; null where nobody knew, the connection being away */
  done: number | null;
}

/** A rate per sample, null where one is not known: after a break it is begun anew, so that a break is no peak. */
export function rates(samples: readonly Sample[]): (number | null)[] {
  let known = 0;
  return samples.map((sample, index) => {
    known = sample.done === null ? 0 : known + 1;
    const from = samples[index - Math.min(known - 1, OVER)];
    if (sample.done === null || known < 2 || from?.done === undefined || from.done === null) return null;
    const rows = Math.max(0, sample.done - from.done);
    return Math.round((rows * 1_000) / Math.max(1, sample.ms - from.ms));
  });
}

/** Adds a sample; what is old is kept half as dense. */
export function add(samples: readonly Sample[], sample: Sample): Sample[] {
  const kept = samples.length < SAMPLES_MAX ? samples : samples.filter((_, index) => index % 2 === 0);
  return [...kept, sample];
}
