/** One operation, asked for once and followed from then on. */
import { computed, ref, shallowRef, toValue, watch, type MaybeRefOrGetter } from "vue";

import { getOperation } from "../api/operations";
import { UnreachableError } from "../api/errors";
import type { Operation } from "../api/types";
import { useLive } from "./store";

/** `id` null: none. */
export function useOperation(id: MaybeRefOrGetter<number | string | null>) {
  const { live, learn } = useLive();
  const error = ref<unknown>(null);
  /** as it was answered: the store forgets what has ended long ago */
  const asked = shallowRef<Operation | null>(null);
  const number = computed(() => (toValue(id) === null ? null : Number(toValue(id))));
  const operation = computed(() => {
    if (number.value === null) return null;
    return live.operations.get(number.value) ?? (asked.value?.id === number.value ? asked.value : null);
  });

  async function load(): Promise<void> {
    const wanted = toValue(id);
    error.value = null;
    if (wanted === null) return;
    try {
      const answer = await getOperation(wanted);
      if (Number(wanted) === number.value) asked.value = answer;
      learn(answer);
    } catch (failure) {
      if (Number(wanted) === number.value) error.value = failure;
    }
  }

  watch(number, load, { immediate: true });
  watch(
    () => live.link,
    (link) => link === "live" && error.value instanceof UnreachableError && void load(),
  );
  return { operation, error, load };
}
