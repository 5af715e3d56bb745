import { expect, it } from "vitest";

import { useOnce } from "./useOnce";

it("does what two clicks ask for once", async () => {
  const { once, busy } = useOnce();
  let done = 0;
  let release: () => void = () => expect.unreachable();
  const act = () => new Promise<number>((resolve) => (release = () => resolve(++done)));
  const first = once(act);
  expect(busy.value).toBe(true);
  expect(await once(act)).toBeUndefined();
  release();
  expect(await first).toBe(1);
  expect([done, busy.value]).toEqual([1, false]);
});

it("keeps what went wrong until the next try", async () => {
  const { once, error } = useOnce();
  const failure = new Error("no");
  expect(await once(() => Promise.reject(failure))).toBeUndefined();
  expect(error.value).toBe(failure);
  expect(await once(() => Promise.resolve(5))).toBe(5);
  expect(error.value).toBeNull();
});
