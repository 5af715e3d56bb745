/** One thing at a time: a second click while the first one is being done does nothing. */
import { ref, shallowRef } from "vue";

export function useOnce() {
  const busy = ref(false);
  const error = shallowRef<unknown>(null);

  /** What `act` gives; undefined where it failed (see `error`) or another one is being done. */
  async function once<Result>(act: () => Promise<Result>): Promise<Result | undefined> {
    if (busy.value) return undefined;
    [busy.value, error.value] = [true, null];
    try {
      return await act();
    } catch (failure) {
      error.value = failure;
      return undefined;
    } finally {
      busy.value = false;
    }
  }

  return { busy, error, once };
}
