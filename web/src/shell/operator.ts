/** Who asks, where the session does not tell: typed once, kept by the browser for the next time. */
import { computed, ref, watch } from "vue";

import type { Operator } from "../api/operations";
import { useSession } from "../api/session";
import { parseInteger } from "../format/numbers";
import { keep, keptText } from "./kept";

const id = ref(keptText("operatorid") ?? "");
const name = ref(keptText("operatorname") ?? "");
watch(id, (now) => keep("operatorid", now || null));
watch(name, (now) => keep("operatorname", now || null));

/** What is to be sent, of what was typed; null where it does not do. */
export function typedOperator(typedId: string, typedName: string): Operator | null {
  const number = parseInteger(typedId);
  const called = typedName.trim();
  if (number === null || number < 0n || number >= 2n ** 63n || called === "" || called.length > 64) return null;
  return { operatorid: String(number), operatorname: called };
}

export function useOperator() {
  const { needsOperator } = useSession();
  return {
    /** two fields have to be asked for: parts/OperatorFields */
    needsOperator,
    id,
    name,
    /** to be sent along: nothing where the session tells who asks; null while the fields are not filled in */
    operator: computed<Partial<Operator> | null>(() => (needsOperator.value ? typedOperator(id.value, name.value) : {})),
  };
}
