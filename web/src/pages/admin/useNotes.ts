/** What is wrong with fields in the reader's words. */
import { useI18n } from "vue-i18n";

import type { FieldNotes } from "../../parts/fieldNotes";
import { OPERATORNAME_MAX, PASSWORD_MAX, PASSWORD_MIN, TOKEN_DAYS_MAX, type Wrong } from "./people";

export function useNotes() {
  const { t } = useI18n();
  const places = { min: PASSWORD_MIN, max: PASSWORD_MAX, days: TOKEN_DAYS_MAX, letters: OPERATORNAME_MAX };
  return {
    say: (wrong: Wrong<string>): FieldNotes =>
      Object.fromEntries(Object.entries(wrong).map(([field, what]) => [field, [{ text: t(`admin.wrong.${what}`, places) }]])),
  };
}
