/** The time, moved on every second by one clock for the whole page. */
import { onScopeDispose, readonly, ref } from "vue";

const now = ref(new Date());
let watchers = 0;
let clock: ReturnType<typeof setInterval> | undefined;

export function useNow() {
  now.value = new Date();
  if (watchers++ === 0) clock = setInterval(() => (now.value = new Date()), 1_000);
  onScopeDispose(() => {
    if (--watchers === 0) clearInterval(clock);
  });
  return readonly(now);
}
