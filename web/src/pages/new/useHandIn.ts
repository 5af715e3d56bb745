/** The form, what was sent of it, and what the server said: the state of the page, kept over a reload. */
import { computed, nextTick, onScopeDispose, reactive, ref, shallowRef, watch } from "vue";

import { ApiError } from "../../api/errors";
import { handIn } from "../../api/handin";
import { useSession } from "../../api/session";
import type { Operation } from "../../api/types";
import { useLive } from "../../live/store";
import { noteOf } from "../../parts/fieldNotes";
import { stay } from "../../shell/kept";
import { useOperator } from "../../shell/operator";
import { amountColumns, type AmountColumns } from "./columns";
import { checkFields, configOf, DUPLICATES, type Wrong } from "./config";
import { placeError, type Field, type PlacedError } from "./fieldErrors";
import { emptyForm, keyFor, load, newFields, randomKey, save, type UploadedFile } from "./kept";

/** browsers refuse to write their history too often */
const SAVE_MS = 300;

export function useHandIn() {
  const { session } = useSession();
  const asker = computed(() => session.value && `${session.value.name} ${stay()}`);
  /** whose form it is; null until somebody is known, and it is nobody's */
  let owner = asker.value;
  const kept = (owner === null ? null : load(owner)) ?? emptyForm();
  const file = shallowRef<UploadedFile | null>(kept.file);
  const fields = reactive(kept.fields);
  const plan = ref(kept.plan);
  const busy = ref(false);
  const wrong = ref<Wrong>({});
  const refusal = shallowRef<PlacedError | null>(null);
  const { operator, needsOperator, id, name } = useOperator();
  const { learn } = useLive();
  let sent = kept.sent;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const columns = computed<AmountColumns>(() =>
    file.value === null ? { amounts: "form", column: "", eids: [] } : amountColumns(file.value.upload),
  );

  function saveNow(): void {
    clearTimeout(timer);
    timer = undefined;
    if (owner !== null) save({ file: file.value, fields, sent, plan: plan.value }, owner);
  }

  function saveSoon(): void {
    timer ??= setTimeout(saveNow, SAVE_MS);
  }

  const saveIfWaiting = () => timer !== undefined && saveNow();
  // the later of them comes too late for Chromium, the earlier one not at all in Safari on telephones
  const leaving = ["beforeunload", "pagehide"] as const;
  leaving.forEach((event) => addEventListener(event, saveIfWaiting));
  onScopeDispose(() => {
    leaving.forEach((event) => removeEventListener(event, saveIfWaiting));
    clearTimeout(timer);
  });

  // who asks is told late where the server was away; and it may be another one when it is back
  watch(asker, async (now) => {
    if (now === null || now === owner) return;
    const found = load(now);
    const isBegun = owner === null && found === null;
    owner = now;
    if (isBegun) return saveNow();
    const { file: keptFile, fields: keptFields, sent: keptSent, plan: keptPlan } = found ?? emptyForm();
    [file.value, plan.value, sent, wrong.value, refusal.value] = [keptFile, keptPlan, keptSent, {}, null];
    Object.assign(fields, keptFields);
    // another cluster empties the counters
    await nextTick();
    fields.eids = keptFields.eids;
  });
  watch(fields, saveSoon);
  watch([file, plan], saveNow);
  watch(file, () => (refusal.value = null));
  watch(() => fields.cluster, () => (fields.eids = []));
  watch(() => fields.mode, (mode) => {
    if (!DUPLICATES[mode].includes(fields.duplicates)) fields.duplicates = DUPLICATES[mode][0] ?? "refuse";
  });

  const notesOf = (field: Field) => [...(wrong.value[field] ?? []), ...(refusal.value?.fields[field] ?? [])].map(noteOf);
  const isWrong = computed(() => Object.keys(wrong.value).length > 0 || refusal.value !== null);

  /** The operation that came of it; null where something was wrong, or it is being sent already. */
  async function submit(): Promise<Operation | null> {
    if (busy.value) return null;
    refusal.value = null;
    const typed = needsOperator.value ? { operatorid: id.value, operatorname: name.value } : null;
    wrong.value = checkFields(fields, file.value, columns.value.amounts, typed);
    if (file.value === null || isWrong.value) return null;
    busy.value = true;
    const { sourcename } = file.value.upload;
    const config = configOf(fields, columns.value.amounts, operator.value ?? {});
    sent = keyFor(JSON.stringify([sourcename, config]), sent, randomKey);
    // before it is sent: after a reload the same key goes with the same content
    saveNow();
    try {
      const operation = await handIn(sourcename, config, sent.key);
      learn(operation);
      if (fields.kind === "modify") plan.value = operation.id;
      // kept here until the page is gone: its next click is the same intent; forgotten where somebody comes back to
      else if (owner !== null) save({ file: file.value, fields, sent: null, plan: null }, owner);
      return operation;
    } catch (error) {
      if (error instanceof ApiError && error.error === "KEY_REUSED") sent = null;
      refusal.value = placeError(error, true);
      return null;
    } finally {
      busy.value = false;
    }
  }

  /** What comes next is another intent, also with the same content. */
  function forgetSent(): void {
    sent = null;
    plan.value = null;
    saveNow();
  }

  function startOver(): void {
    file.value = null;
    Object.assign(fields, newFields());
    wrong.value = {};
    refusal.value = null;
    forgetSent();
  }

  return { file, fields, columns, plan, busy, refusal, notesOf, isWrong, submit, forgetSent, startOver };
}
