/** The operation that has undone another one; null while there is none, or where it does not count any more. */
import { computed, type Ref } from "vue";

import { getTimeline } from "../../api/records";
import type { Operation, TimelineEvent } from "../../api/types";
import { useLive } from "../../live/store";
import { useAsked } from "../../live/useAsked";
import { useOperation } from "../../live/useOperation";
import { relationOf } from "./actions";
import { undoIn } from "./events";

export function useUndo(of: () => Operation, events: Ref<readonly TimelineEvent[]>) {
  const { operations } = useLive();
  /** what is noted; and what others have done since that was read */
  const id = computed(() => {
    const seen = operations.value.find((child) => child.parent === of().id && !child.dry_run && relationOf(child, of()) === "undo");
    return seen?.id ?? undoIn(events.value);
  });
  const { operation: undo } = useOperation(() => id.value);
  const { data: timeline } = useAsked(async (signal) => (id.value === null ? null : getTimeline(id.value, signal)), [id]);
  return computed(() => (undo.value !== null && undo.value.state !== "rejected" && undoIn(timeline.value?.items ?? []) === null ? undo.value : null));
}
