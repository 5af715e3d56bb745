/** Short words about what was just done, and questions before it is. */
import { ElMessage } from "element-plus/es/components/message/index";
import { ElMessageBox } from "element-plus/es/components/message-box/index";
import "element-plus/es/components/message/style/css";
import "element-plus/es/components/message-box/style/css";

import { ApiError, UnreachableError } from "../api/errors";
import { i18n, translate } from "../i18n";

/** Passes by; read aloud. For what went well, or is of no weight. */
export function tell(text: string): void {
  ElMessage({ message: text, type: "success", duration: 4_000 });
}

/** Stays until somebody has read it: what was done waits for somebody else. */
export function tellWaiting(text: string): void {
  ElMessage({ message: text, type: "warning", duration: 0, showClose: true });
}

/** An error that belongs to no place on the page; one that does is shown there by parts/ErrorNote. */
export function tellError(error: unknown): void {
  ElMessage({ message: sentence(error), type: "error", duration: 8_000, showClose: true });
}

function sentence(error: unknown): string {
  if (error instanceof UnreachableError) return translate("errors.unreachable");
  if (!(error instanceof ApiError)) return translate("errors.unexpected");
  const key = `errors.code.${error.error}`;
  return i18n.global.te(key) ? `${translate(key)} ${error.msg}` : error.msg;
}

/**
 * Asks before something that cannot be taken back lightly; true for yes. Who goes back to another page has said no.
 * `no` where "Cancel" could be taken for the thing itself.
 */
export async function confirmed(question: string, title: string, yes: string, no?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const leave = () => {
      ElMessageBox.close();
      say(false);
    };
    const say = (answer: boolean) => {
      removeEventListener("popstate", leave);
      resolve(answer);
    };
    addEventListener("popstate", leave);
    ElMessageBox.confirm(question, title, { confirmButtonText: yes, type: "warning", ...(no === undefined ? {} : { cancelButtonText: no }) }).then(
      () => say(true),
      () => say(false),
    );
  });
}
