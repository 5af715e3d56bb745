/**
 * An operator's way and every page once in Firefox, for tests/system/console/test_firefox.py:
 *
 *     node firefox.mjs '{"firefox", "url", "password", "source", "downloads", "pictures", "pages"}'
 *
 * Prints {"operation", "pages": {address: its text}, "complaints"} as JSON; fails where a step is not possible.
 */
import puppeteer from "puppeteer-core";

const PATIENCE_MS = 60_000;
const asked = JSON.parse(process.argv[2]);
const complaints = [];

/** In the language of its user; downloads beside the test; nothing asked elsewhere. */
const preferences = {
  "intl.locale.requested": "zh-CN",
  "intl.accept_languages": "zh-CN,zh",
  "browser.download.folderList": 2,
  "browser.download.useDownloadDir": true,
  "browser.download.dir": asked.downloads,
  "browser.download.always_ask_before_handling_new_types": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

/** An error that is logged as an object says only that it is one. */
async function note(message) {
  const said = await Promise.all(message.args().map((part) => part.evaluate((it) => String(it))));
  complaints.push(`${said.join(" ") || message.text()} at ${message.location().url}`);
}

/** Wait until all is loaded: what a page that is left still waits for is an error to Firefox. The live stream stays open. */
async function settle(page) {
  await page.waitForSelector("h1");
  await page.waitForNetworkIdle({ concurrency: 1 });
}

async function logIn(page, role) {
  await page.goto(`${asked.url}/console/login`);
  await page.locator("#name").fill(role);
  await page.locator("#password").fill(asked.password);
  await page.locator("form button[type=submit]").click();
  await page.waitForFunction(() => location.pathname === "/");
  await settle(page);
}

/** Hand in the source as a query, follow it to its end and click on its result; return its id. */
async function handIn(page) {
  await page.goto(`${asked.url}/console/new`);
  const input = await page.waitForSelector("#new-file");
  await input.uploadFile(asked.source);
  await page.waitForSelector("[data-fact=encoding]");
  await page.select("#new-cluster", "fish");
  await page.locator("#new-eids").fill("1001");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".sentence")?.textContent.includes("活动积分"));
  await page.locator("[data-act=start]").click();
  await page.waitForSelector("main .page-head [data-state=succeeded]");
  await page.locator("[data-file=result]").click();
  return Number(page.url().split("/").at(-1));
}

async function lookAt(page, address) {
  await page.goto(asked.url + address);
  await settle(page);
  const name = address.replaceAll("/", " ").trim().replaceAll(" ", "-") || "overview";
  await page.screenshot({ path: `${asked.pictures}/firefox-${name}.png` });
  return page.$eval("body", (body) => body.innerText);
}

async function visit(browser, role, go) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && note(message));
  await logIn(page, role);
  return go(page);
}

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: asked.firefox,
  headless: true,
  extraPrefsFirefox: preferences,
});
try {
  const operation = await visit(browser, "operator", handIn);
  const pages = await visit(browser, "admin", async (page) => {
    const texts = {};
    for (const address of [...asked.pages, `/console/operations/${operation}`]) {
      texts[address] = await lookAt(page, address);
    }
    return texts;
  });
  process.stdout.write(JSON.stringify({ operation, pages, complaints }));
} finally {
  await browser.close();
}
