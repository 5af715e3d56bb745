/** One operation, asked for once and followed from then on. */
import { computed, ref, toValue, watch, type MaybeRefOrGetter } from "vue";

import { getOperation } from "../api/operations";
import { useLive } from "./store";

export function useOperation(id: MaybeRefOrGetter<number | string>) {
  const { live, learn } = useLive();
  const error = ref<unknown>(null);
  const operation = computed(() => live.operations.get(Number(toValue(id))) ?? null);

  async function load(): Promise<void> {
    error.value = null;
    try {
      learn(await getOperation(toValue(id)));
    } catch (failure) {
      error.value = failure;
    }
  }

  watch(() => toValue(id), load, { immediate: true });
  return { operation, error, load };
}
