/** The last hour of the clusters: asked for once, then what was missed, every ASK_MS while somebody looks. */
import { onScopeDispose, shallowRef, watch } from "vue";

import { UnreachableError } from "../api/errors";
import { getActivity } from "../api/records";
import type { Activity } from "../api/types";
import { joinActivity, minutesMissed } from "./activity";
import { useLive } from "./store";

const ASK_MS = 10_000;

export function useActivity() {
  const { live } = useLive();
  const activity = shallowRef<Activity | null>(null);
  const error = shallowRef<unknown>(null);
  const gone = new AbortController();
  let asking = false;
  let askedAt: number | null = null;

  async function ask(): Promise<void> {
    if (asking || document.hidden) return;
    asking = true;
    try {
      const now = Date.now();
      const news = await getActivity(minutesMissed(askedAt === null ? null : now - askedAt), gone.signal);
      askedAt = now;
      activity.value = joinActivity(activity.value, news);
      error.value = null;
    } catch (failure) {
      // a break is said by the page's own bar; what is known stays
      if (!gone.signal.aborted && !(failure instanceof UnreachableError)) error.value = failure;
    } finally {
      asking = false;
    }
  }

  void ask();
  const timer = setInterval(() => void ask(), ASK_MS);
  const look = () => void ask();
  document.addEventListener("visibilitychange", look);
  watch(() => live.link, (link) => link === "live" && void ask());
  onScopeDispose(() => {
    gone.abort();
    clearInterval(timer);
    document.removeEventListener("visibilitychange", look);
  });
  return { activity, error, ask };
}
