/** A reason of the server in the reader's language; in English where it is none that we know. */
import { useI18n } from "vue-i18n";

import { knownReason } from "./reasons";

export function useReason() {
  const { t } = useI18n();

  function reasonOf(reason: string): { text: string; lang: "en" | undefined } {
    const known = knownReason(reason);
    return known === null ? { text: reason, lang: "en" } : { text: t(`reasons.${known.key}`, known.named), lang: undefined };
  }

  return { reasonOf };
}
