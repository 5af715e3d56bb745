/** Asks the API when something changes, shows the newest answer alone, and says what went wrong. */
import { onScopeDispose, ref, shallowRef, watch, type WatchSource } from "vue";

import { UnreachableError } from "../api/errors";
import { useLive } from "./store";

/**
 * `question` is called at once, again whenever one of `sources` changes, by `reload`, and after a break of the
 * connection. An answer that comes after a newer question was put is dropped.
 */
export function useAsked<Data>(question: (signal: AbortSignal) => Promise<Data>, sources: WatchSource[] = []) {
  const data = shallowRef<Data | null>(null);
  const error = shallowRef<unknown>(null);
  const loading = ref(false);
  let asking: AbortController | null = null;

  async function reload(): Promise<void> {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    loading.value = true;
    try {
      const answer = await question(mine.signal);
      if (asking === mine) [data.value, error.value] = [answer, null];
    } catch (failure) {
      if (asking === mine) error.value = failure;
    } finally {
      if (asking === mine) loading.value = false;
    }
  }

  const { live } = useLive();
  watch(sources, reload, { immediate: true });
  watch(
    () => live.link,
    (link) => link === "live" && error.value instanceof UnreachableError && void reload(),
  );
  onScopeDispose(() => asking?.abort());
  return { data, error, loading, reload };
}
