/** Light or dark: as the system has it, or as chosen here, which is kept. */
import { computed, ref, watchEffect } from "vue";

import { keep, kept } from "./kept";

export const THEMES = ["light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

/** null: as the system does */
export const chosenTheme = ref<Theme | null>(kept("theme", THEMES));
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = ref(system.matches);
system.addEventListener("change", ({ matches }) => (systemIsDark.value = matches));

export const theme = computed<Theme>(() => chosenTheme.value ?? (systemIsDark.value ? "dark" : "light"));

export function chooseTheme(wanted: Theme | null): void {
  chosenTheme.value = wanted;
  keep("theme", wanted);
}

export function applyTheme(): void {
  watchEffect(() => {
    document.documentElement.classList.toggle("dark", theme.value === "dark");
    document.documentElement.style.colorScheme = theme.value;
  });
}
