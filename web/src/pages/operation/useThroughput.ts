/** Collects how fast an operation is while somebody watches. */
import { computed, onScopeDispose, shallowRef, toValue, type MaybeRefOrGetter } from "vue";

import type { Operation } from "../../api/types";
import { isUnfinished } from "../../live/known";
import { useLive } from "../../live/store";
import { add, rates, STEP_MS, type Sample } from "./throughput";

export function useThroughput(operation: MaybeRefOrGetter<Operation>) {
  const { live } = useLive();
  const samples = shallowRef<Sample[]>([]);

  function look(): void {
    const { rows, state } = toValue(operation);
    if (!isUnfinished(toValue(operation))) return clearInterval(clock);
    if (state === "queued" || state === "awaiting_approval") return;
    const away = live.link !== "live" || live.lostAt !== null;
    samples.value = add(samples.value, { ms: Date.now(), done: away ? null : rows.done });
  }

  const clock = setInterval(look, STEP_MS);
  onScopeDispose(() => clearInterval(clock));
  return { times: computed(() => samples.value.map(({ ms }) => ms)), rates: computed(() => rates(samples.value)) };
}
