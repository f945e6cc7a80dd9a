// The browser, and how a test asks of it what must hold.

import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const modules = path.resolve(process.env.REPLICAT_BROWSER_MODULES ?? here);
const require = createRequire(path.join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axePath = require.resolve("axe-core/axe.min.js");

const CHROMIUM = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((one) => one && existsSync(one));

/** Where pictures go, if they are wanted. */
export const PICTURES = process.env.REPLICAT_BROWSER_PICTURES;

/** How long anything may take that is waited for. */
export const PATIENCE_MS = Number(process.env.REPLICAT_BROWSER_PATIENCE_MS ?? 30_000);

export async function launch() {
  if (PICTURES) await mkdir(PICTURES, { recursive: true });
  return chromium.launch({ executablePath: CHROMIUM, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });
}

/** A page that notes whatever must never happen in it: errors, dialogs, violations of the policy. */
export async function open(browser, { scheme = "light", width = 1280, height = 860, reducedMotion = "no-preference" } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height }, reducedMotion, acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => { page.wrong.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("console", (message) => { if (/Content.Security.Policy|Refused to|^replicat:/i.test(message.text())) page.wrong.push(`policy: ${message.text()}`); });
  return page;
}

/** What axe finds that is serious or critical. */
export async function axe(page) {
  // The policy of the page forbids foreign scripts: axe is run by the browser's debugger, which it does not bind.
  if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(await source());
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary.split("\n").slice(1).join(" ")}`).join(" | ")}`);
}

let text = null;
async function source() {
  text ??= await (await import("node:fs/promises")).readFile(axePath, "utf8");
  return text;
}

export async function picture(page, name) {
  if (PICTURES) await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });
}

const results = { passed: 0, failed: 0 };

/** A test by its name. */
export async function test(name, run) {
  const start = Date.now();
  try {
    await run();
    results.passed += 1;
    console.log(`ok    ${name} (${Date.now() - start} ms)`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAILED ${name}\n${error.stack ?? error}`);
  }
}

export function finish() {
  console.log(`${results.passed} passed, ${results.failed} failed`);
  return results.failed ? 1 : 0;
}

export function equal(actual, expected, what) {
  const [one, other] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: ${one} instead of ${other}`);
}

export function holds(condition, what) {
  if (!condition) throw new Error(what);
}

/** Waits until `condition` of this process gives something true. */
export async function until(condition, what) {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const value = await condition();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it never came to be: ${what}`);
}
