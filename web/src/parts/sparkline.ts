/** A line of values without axes, as a path of SVG. Pure. */

/** As many values as there are places, the mean of those that fall into one; null where none is known. */
export function thin(values: readonly (number | null)[], places: number): (number | null)[] {
  if (values.length <= places) return [...values];
  return Array.from({ length: places }, (_, place) => {
    const from = Math.floor((place * values.length) / places);
    const known = values.slice(from, Math.floor(((place + 1) * values.length) / places)).filter((value) => value !== null);
    return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  });
}

/** Whether nothing is known on either side of a value: no line goes through it. */
export const isAlone = (values: readonly (number | null)[], index: number): boolean =>
  [values[index - 1], values[index + 1]].every((other) => (other ?? null) === null) && (values[index] ?? null) !== null;

/** From left to right, 0 at the bottom; where a value is not known the line has a gap, a single one is a dot. */
export function pathOf(values: readonly (number | null)[], width: number, height: number): string {
  const top = Math.max(...values.map((value) => value ?? 0));
  const short = (place: number) => String(Math.round(place * 10) / 10);
  const x = (index: number) => short((index * width) / Math.max(1, values.length - 1));
  const y = (value: number) => short(top > 0 ? height - (value / top) * height : height);
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const begins = index === 0 || values[index - 1] === null;
    path += `${begins ? "M" : "L"}${x(index)} ${y(value)}${isAlone(values, index) ? "h2" : ""}`;
  });
  return path;
}
