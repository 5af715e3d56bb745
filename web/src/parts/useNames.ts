/** What counters and clusters are called. Asked for by whoever is logged in, for the whole page; numbers stand in until it is known. */
import { computed, readonly, shallowRef } from "vue";

import { useSession } from "../api/session";
import { getDefinitions } from "../api/setup";
import type { Definitions } from "../api/types";
import { nameOfEid } from "../format/sentence";
import { useLive } from "../live/store";

/** others may change them: who shows them so long after asks again */
const OLD_MS = 60_000;
const NONE: Definitions = { clusters: [], eids: [] };

const known = shallowRef<Definitions | null>(null);
const error = shallowRef<unknown>(null);
let asking: object | null = null;
let askedAt = -Infinity;
let askedBy: string | undefined;

async function ask(): Promise<void> {
  const mine = (asking = {});
  askedAt = performance.now();
  try {
    const definitions = await getDefinitions();
    if (asking === mine) [known.value, error.value] = [definitions, null];
  } catch (failure) {
    if (asking === mine) [askedAt, error.value] = [-Infinity, failure];
  }
}

/** What is granted to one person is not shown to the next. */
function learnNames(who: string | undefined): void {
  if (who !== askedBy) {
    [askedBy, known.value, error.value] = [who, null, null];
    forgetNames();
  }
  if (performance.now() - askedAt > OLD_MS) void ask();
}

/** They have changed: whoever shows them next asks again. */
export function forgetNames(): void {
  askedAt = -Infinity;
}

export function useNames() {
  const { titleOf } = useLive();
  learnNames(useSession().session.value?.name);
  const definitions = computed(() => known.value ?? NONE);
  const clusterTitle = (cluster: string) =>
    definitions.value.clusters.find(({ name }) => name === cluster)?.title || titleOf(cluster);
  return {
    definitions,
    /** of the asking; what is known already stays */
    error: readonly(error),
    reload: ask,
    /** 捕鱼集群, or the name it is configured by */
    clusterTitle,
    /** 捕鱼集群 (fish), or the name alone */
    clusterName: (cluster: string) => (clusterTitle(cluster) === cluster ? cluster : `${clusterTitle(cluster)} (${cluster})`),
    /** 活动积分 (1001), or the number alone; by its name in these clusters, null: in all of them */
    eidName: (clusters: string | readonly string[] | null, eid: number | string) => {
      const among = typeof clusters === "string" ? [clusters] : clusters;
      const listed = definitions.value.eids.filter((each) => each.eid === Number(eid) && (among?.includes(each.cluster) ?? true));
      const names = new Set(listed.map(({ name }) => name).filter((name) => name !== ""));
      return nameOfEid({ eid: Number(eid), name: [...names].join(" / ") });
    },
  };
}
