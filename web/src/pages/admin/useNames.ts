/** What clusters and EIDs are called: asked for once by each page that shows grants. */
import { computed } from "vue";

import { getDefinitions, listClusters } from "../../api/setup";
import { useAsked } from "../../live/useAsked";
import { clusterChoices, eidNames } from "./grants";

export function useNames() {
  const { data, error } = useAsked(async () => {
    const [definitions, configured] = await Promise.all([getDefinitions(), listClusters()]);
    return { definitions, configured };
  });
  const definitions = computed(() => data.value?.definitions ?? { clusters: [], eids: [] });
  const configured = computed(() => data.value?.configured ?? []);
  const titles = computed(() => new Map(clusterChoices(definitions.value, configured.value).map(({ name, title }) => [name, title])));
  const names = computed(() => eidNames(definitions.value.eids));
  return {
    definitions,
    configured,
    error,
    clusterText: (name: string) => withNumber(titles.value.get(name) ?? "", name),
    /** by its name in these clusters; null: in all of them */
    eidText: (eid: number, clusters: readonly string[] | null = null) =>
      withNumber((clusters === null ? names.value : eidNames(definitions.value.eids, clusters)).get(eid) ?? "", String(eid)),
  };
}

export type Names = ReturnType<typeof useNames>;

/** 活动积分 (1001) */
const withNumber = (name: string, number: string) => (name && name !== number ? `${name} (${number})` : number);
