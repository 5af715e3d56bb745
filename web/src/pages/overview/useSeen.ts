/** Whether a place has come into sight after the page stood there: what is heavy is loaded then. */
import { onBeforeUnmount, onMounted, ref, useTemplateRef } from "vue";

/** `name` is the place's `ref`. */
export function useSeen(name: string) {
  const place = useTemplateRef<HTMLElement>(name);
  const seen = ref(false);
  let watcher: IntersectionObserver | null = null;

  onMounted(() => {
    watcher = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      watcher?.disconnect();
      seen.value = true;
    });
    // what is seen first is painted before anything else is asked for
    requestAnimationFrame(() => place.value !== null && watcher?.observe(place.value));
  });
  onBeforeUnmount(() => watcher?.disconnect());
  return seen;
}
