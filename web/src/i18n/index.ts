/** Which language the page speaks: the browser's, or the one chosen here, which is kept. One catalogue is loaded. */
import { nextTick, ref, shallowRef } from "vue";
import { createI18n } from "vue-i18n";
import type { Language as ElementLocale } from "element-plus/es/locale";

import { keep, kept } from "../shell/kept";

export const LANGUAGES = ["en", "zh"] as const;
export type Language = (typeof LANGUAGES)[number];

interface Catalogue {
  messages: Record<string, unknown>;
  /** of Element Plus' own texts */
  element: ElementLocale;
}

const LOADERS: Record<Language, () => Promise<{ default: Catalogue }>> = {
  en: () => import("./en"),
  zh: () => import("./zh"),
};
/** as `lang` in the page, and for Intl */
const TAGS: Record<Language, string> = { en: "en", zh: "zh-CN" };

// messages come by `applyLanguage`; each language is whole, as catalogues.test.ts sees to
export const i18n = createI18n({ legacy: false, locale: "en", fallbackLocale: [], messages: {} });
export const elementLocale = shallowRef<ElementLocale>();

/** null: as the browser does */
export const chosenLanguage = ref<Language | null>(kept("language", LANGUAGES));
export const intlTag = ref(TAGS.en);

export function browserLanguage(wanted: readonly string[] = navigator.languages): Language {
  const known = wanted.map((tag) => LANGUAGES.find((language) => tag.toLowerCase().startsWith(language)));
  return known.find((language) => language !== undefined) ?? "en";
}

export async function chooseLanguage(language: Language | null): Promise<void> {
  chosenLanguage.value = language;
  keep("language", language);
  await applyLanguage();
}

export async function applyLanguage(): Promise<void> {
  const language = chosenLanguage.value ?? browserLanguage();
  const { messages, element } = (await LOADERS[language]()).default;
  i18n.global.setLocaleMessage(language, messages as never);
  i18n.global.locale.value = language as never;
  elementLocale.value = element;
  intlTag.value = TAGS[language];
  await nextTick();
  document.documentElement.lang = TAGS[language];
}

export function translate(key: string, named: Record<string, unknown> = {}): string {
  return i18n.global.t(key, named);
}
