/** format/* in the language that the page speaks. */
import { computed } from "vue";
import { useI18n } from "vue-i18n";

import type { Int, Time } from "../api/types";
import * as numbers from "../format/numbers";
import * as times from "../format/times";
import { intlTag } from "../i18n";

export function useFormat() {
  const { t } = useI18n();
  return {
    t,
    tag: computed(() => intlTag.value),
    int: (value: Int | bigint) => numbers.formatInt(value, intlTag.value),
    change: (value: Int | bigint) => numbers.formatChange(value, intlTag.value),
    short: (value: Int | bigint) => numbers.formatShort(value, intlTag.value),
    number: (value: number, places?: number) => numbers.formatNumber(value, intlTag.value, places),
    bytes: (value: number) => numbers.formatBytes(value, intlTag.value),
    seconds: (value: number) => times.formatSeconds(value, intlTag.value),
    time: (value: Time, now: Date) => times.formatTime(value, intlTag.value, now),
    exactTime: (value: Time) => times.formatExactTime(value, intlTag.value),
    ago: (value: Time, now: Date) => times.formatAgo(value, intlTag.value, now),
  };
}
