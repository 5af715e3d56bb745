/** What a person reads about an error: what happened by its stable word, the server's own sentence, when to try again. */
import { useI18n } from "vue-i18n";

import { ApiError, UnreachableError } from "../api/errors";
import { useFormat } from "../shell/useFormat";

export interface ErrorText {
  /** what happened, in the reader's language */
  summary: string;
  /** the server's sentence, in English */
  detail: string | null;
  hints: string[];
}

export function useErrorText() {
  const { t, te } = useI18n();
  const { seconds, number } = useFormat();

  function hintsOf({ data, retryAfterS }: ApiError): string[] {
    const wait = retryAfterS ?? data.retry_after_s;
    return [
      wait === undefined || wait === null ? null : t("errors.retryAfter", { time: seconds(wait) }),
      data.reference === undefined ? null : t("errors.reference", { reference: data.reference }),
      data.limit === undefined ? null : t("errors.limit", { limit: data.limit, value: data.value === undefined ? "" : number(data.value) }),
    ].filter((hint) => hint !== null);
  }

  function textOf(error: unknown): ErrorText {
    if (error instanceof UnreachableError) return { summary: t("errors.unreachable"), detail: null, hints: [] };
    if (!(error instanceof ApiError)) return { summary: t("errors.unexpected"), detail: String(error), hints: [] };
    const known = te(`errors.code.${error.error}`) ? error.error : "UNEXPECTED";
    return { summary: t(`errors.code.${known}`), detail: error.msg, hints: hintsOf(error) };
  }

  return { textOf };
}
