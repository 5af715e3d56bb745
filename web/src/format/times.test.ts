import { describe, expect, it } from "vitest";

import { formatAgo, formatExactTime, formatSeconds, formatTime } from "./times";

const NOW = new Date("2026-11-21T12:00:00+08:00");
const ZONE = "Asia/Shanghai";

describe("formatTime", () => {
  it("says no more than is needed", () => {
    expect(formatTime("2026-11-21T09:05:07+08:00", "en", NOW, ZONE)).toBe("09:05:07");
    expect(formatTime("2026-11-20T23:59:59+08:00", "en", NOW, ZONE)).toBe("Nov 20, 23:59");
    expect(formatTime("2025-11-20T23:59:59+08:00", "zh-CN", NOW, ZONE)).toBe("2025年11月20日 23:59");
  });
  it("knows which day it is where the reader is", () => {
    expect(formatTime("2026-11-20T16:30:00Z", "en", NOW, ZONE)).toBe("00:30:00");
  });
});

describe("formatExactTime", () => {
  it("has the milliseconds and the zone", () => {
    expect(formatExactTime("2026-11-21T01:05:07.089Z", "en", ZONE)).toBe("11/21/2026, 09:05:07.089 GMT+08:00");
  });
});

describe("formatAgo", () => {
  it("takes the largest unit that fits", () => {
    const at = (ms: number) => new Date(NOW.getTime() + ms).toISOString();
    expect(formatAgo(at(-59_000), "en", NOW)).toBe("59 seconds ago");
    expect(formatAgo(at(-3_700_000), "en", NOW)).toBe("1 hour ago");
    expect(formatAgo(at(7_200_000), "zh-CN", NOW)).toBe("2小时后");
  });
});

describe("formatSeconds", () => {
  it("names two units at most", () => {
    expect([0.42, 45, 60, 200, 7_500, 90_061].map((seconds) => formatSeconds(seconds, "en"))).toEqual([
      "0.4 sec", "45 sec", "1 min", "3 min 20 sec", "2 hr 5 min", "1 day 1 hr",
    ]);
    expect(formatSeconds(200, "zh-CN")).toBe("3分钟 20秒");
  });
});
