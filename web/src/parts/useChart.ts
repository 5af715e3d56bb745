/** Draws an ECharts option into an element, in the page's colours, as wide as there is room. */
import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { onBeforeUnmount, onMounted, shallowRef, watch, type Ref } from "vue";

import { theme } from "../shell/theme";

export interface ChartColours {
  ink: string;
  quiet: string;
  line: string;
  page: string;
  series: string[];
}

function colours(): ChartColours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  const series = ["primary", "warning", "success", "danger"].map((name) => of(`--el-color-${name}`));
  return {
    ink: of("--el-text-color-primary"),
    quiet: of("--el-text-color-secondary"),
    line: of("--line"),
    page: of("--page"),
    series,
  };
}

/** What all charts have in common. Tooltips are drawn, not built of HTML, whose styles the policy would drop. */
export function commonOption(own: ChartColours): EChartsCoreOption {
  return {
    animation: false,
    color: own.series,
    textStyle: { color: own.quiet, fontFamily: "inherit" },
    grid: { left: 8, right: 16, top: 32, bottom: 8, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    legend: { top: 0, left: 0, textStyle: { color: own.ink }, icon: "roundRect", itemWidth: 12, itemHeight: 6 },
    tooltip: {
      trigger: "axis",
      renderMode: "richText",
      confine: true,
      backgroundColor: own.page,
      borderColor: own.line,
      textStyle: { color: own.ink },
    },
  };
}

export function axisOption(own: ChartColours) {
  return {
    axisLine: { lineStyle: { color: own.line } },
    axisTick: { show: false },
    axisLabel: { color: own.quiet },
    splitLine: { lineStyle: { color: own.line } },
  };
}

export function useChart(place: Readonly<Ref<HTMLElement | null>>, option: (own: ChartColours) => EChartsCoreOption) {
  const chart = shallowRef<EChartsType | null>(null);
  let gone = false;
  let watcher: ResizeObserver | null = null;

  const draw = () => chart.value?.setOption(option(colours()), { notMerge: true });

  onMounted(async () => {
    const { init } = await import("./echarts");
    if (gone || place.value === null) return;
    chart.value = init(place.value, null, { renderer: "canvas" });
    watcher = new ResizeObserver(() => chart.value?.resize());
    watcher.observe(place.value);
    draw();
  });
  onBeforeUnmount(() => {
    gone = true;
    watcher?.disconnect();
    chart.value?.dispose();
  });
  watch([() => option(colours()), theme], draw, { flush: "post" });
}
