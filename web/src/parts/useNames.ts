/** What counters and clusters are called. Asked for once by whoever is logged in; numbers stand in until it is known. */
import { shallowRef } from "vue";

import { useSession } from "../api/session";
import { getDefinitions } from "../api/setup";
import type { Definitions } from "../api/types";
import { nameOfEid } from "../format/sentence";
import { useLive } from "../live/store";

const known = shallowRef<Definitions | null>(null);
let asked: Promise<Definitions | null> | null = null;
let askedBy: string | undefined;

/** What is granted to one person is not shown to the next. */
function learnNames(who: string | undefined): void {
  if (who !== askedBy) {
    askedBy = who;
    asked = known.value = null;
  }
  if (asked !== null) return;
  const asking = getDefinitions().catch(() => null);
  asked = asking;
  void asking.then((definitions) => {
    if (asked !== asking) return;
    if (definitions === null) asked = null;
    else known.value = definitions;
  });
}

/** They have changed: whoever shows them next asks again. */
export function forgetNames(): void {
  asked = null;
}

export function useNames() {
  const { titleOf } = useLive();
  learnNames(useSession().session.value?.name);
  const listed = (cluster: string, eid: number) =>
    known.value?.eids.find((each) => each.cluster === cluster && each.eid === Number(eid));
  return {
    /** 捕鱼集群, or the name it is configured by */
    clusterTitle: (cluster: string) =>
      known.value?.clusters.find(({ name }) => name === cluster)?.title || titleOf(cluster),
    /** 活动积分 (1001), or the number alone */
    eidName: (cluster: string, eid: number) => nameOfEid({ eid, name: listed(cluster, eid)?.name ?? "" }),
    unitOf: (cluster: string, eid: number) => listed(cluster, eid)?.unit ?? "",
    clusters: () => known.value?.clusters ?? [],
  };
}
