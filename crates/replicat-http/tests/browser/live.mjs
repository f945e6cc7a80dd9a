// The dashboard over real processes: a manager and two nodes, of which the second is enrolled with a token made in the dashboard.
// REPLICAT_BIN names the command.

import { spawn, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { finish, equal, launch, open, picture, test, until } from "./browser.mjs";

const COMMAND = process.env.REPLICAT_BIN;
if (!COMMAND) {
  console.error("REPLICAT_BIN must name the command, such as target/debug/replicat");
  process.exit(2);
}

const world = await mkdtemp(path.join(os.tmpdir(), "replicat-live-"));
const environment = { PATH: process.env.PATH, HOME: world, XDG_RUNTIME_DIR: path.join(world, "run"), XDG_STATE_HOME: path.join(world, "state"), REPLICAT_MANAGER_STATE: path.join(world, "manager") };
await mkdir(environment.XDG_RUNTIME_DIR, { mode: 0o700 });
const started = new Set();

const freePort = () => new Promise((done) => {
  const probe = net.createServer().listen(0, "127.0.0.1", () => { const { port } = probe.address(); probe.close(() => done(port)); });
});

const ask = (...words) => execFileSync(COMMAND, words, { env: environment, encoding: "utf8" });

/** Starts the command; `stop()` ends it as a service would be ended. */
function start(...words) {
  const child = spawn(COMMAND, words, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  const one = { output: "", ended: new Promise((done) => child.on("exit", done)) };
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => { one.output += data; });
  one.stop = async () => { child.kill("SIGTERM"); await one.ended; started.delete(one); };
  started.add(one);
  return one;
}

const answers = async (url) => (await fetch(`${url}/healthz`).catch(() => null))?.ok;

async function answering(one, url, what) {
  let hasEnded = false;
  void one.process.ended.then(() => { hasEnded = true; });
  await until(async () => hasEnded || (await answers(url)), `${what} answers`).catch((error) => { throw new Error(`${error.message}; it said: ${one.process.output}`); });
  if (hasEnded) throw new Error(`${what} ended; it said: ${one.process.output}`);
}

async function startNode(node) {
  const credentials = node.credentials ? ["--manager-credentials", node.credentials] : [];
  node.process = start("serve", "--name", node.name, "--address", `127.0.0.1:${node.port}`, "--manager", `127.0.0.1:${manager.port}`, ...credentials,
    "--node-state", node.state, "--folders-directory", node.folders, "--node-socket", path.join(world, `${node.name}.sock`), "--http", `127.0.0.1:${node.http}`);
  await answering(node, node.url, node.name);
}

async function newNode(name, credentials) {
  const node = { name, credentials, port: await freePort(), http: await freePort(), state: path.join(world, `${name}-state`), folders: path.join(world, name) };
  node.url = `http://127.0.0.1:${node.http}`;
  await mkdir(node.folders);
  await startNode(node);
  return node;
}

const tokenIn = (text) => {
  const found = /rpt_[0-9a-f]{64}/.exec(text);
  if (!found) throw new Error(`no token in: ${text}`);
  return found[0];
};

async function signedIn(browser, url, token) {
  const page = await open(browser);
  await page.goto(`${url}/#token=${token}`);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

const go = (page, hash) => page.evaluate((to) => { location.hash = to; }, hash);
const text = (file) => readFile(file, "utf8").catch(() => null);

const browser = await launch();
const manager = { port: await freePort(), http: await freePort() };
manager.url = `http://127.0.0.1:${manager.http}`;
let [office, laptop, managerPage, page] = [];
const at = (node, name = "") => path.join(node.folders, "site", name);

await test("a manager and a node are up, and the dashboards open", async () => {
  manager.process = start("manager", "serve", "--address", `127.0.0.1:${manager.port}`, "--http", `127.0.0.1:${manager.http}`);
  await answering(manager, manager.url, "the manager");
  const credentials = JSON.parse(ask("manager", "token", "create", "--json").trim().split("\n").at(-1)).token;
  office = await newNode("office", credentials);
  managerPage = await signedIn(browser, manager.url, tokenIn(ask("api", "token", "create", "--manager", "--name", "test", "--scope", "admin")));
  await go(managerPage, "#/nodes");
  await managerPage.getByRole("link", { name: "office" }).waitFor();
  page = await signedIn(browser, office.url, tokenIn(ask("api", "token", "create", "--node-state", office.state, "--name", "test", "--scope", "admin")));
});

await test("a second node is enrolled with a token made in the dashboard", async () => {
  await go(managerPage, "#/tokens");
  await managerPage.getByLabel("Only for the node named (optional)").fill("laptop");
  await managerPage.getByRole("button", { name: "Create token" }).click();
  const credentials = await managerPage.locator(".secret code").textContent();
  laptop = await newNode("laptop", credentials);
  await go(managerPage, "#/nodes");
  await managerPage.getByRole("row", { name: /laptop/ }).getByText(/^(Online|Joining Cluster)$/).waitFor();
  await picture(managerPage, "live-nodes");
});

await test("a folder is placed on both, and a file arrives while one watches", async () => {
  await go(managerPage, "#/placements");
  for (const node of ["office", "laptop"]) {
    await managerPage.getByLabel("Folder", { exact: true }).fill("site");
    await managerPage.getByRole("combobox", { name: "Node", exact: true }).selectOption(node);
    await managerPage.getByRole("button", { name: "Place", exact: true }).click();
    await managerPage.getByText(`site is placed on ${node}.`).first().waitFor();
  }
  await until(() => existsSync(at(office)) && existsSync(at(laptop)), "both have the folder");
  await go(page, "#/folders");
  await page.getByRole("link", { name: "site" }).click();
  await page.getByRole("heading", { name: "site", level: 1 }).waitFor();
  await writeFile(at(laptop, "hello.txt"), "hello\n");
  await page.getByRole("link", { name: "hello.txt" }).waitFor();
  equal(await text(at(office, "hello.txt")), "hello\n", "what arrived");
  await picture(page, "live-folder");
});

await test("an old version is restored", async () => {
  await writeFile(at(laptop, "hello.txt"), "hello again, and longer\n");
  await until(async () => (await text(at(office, "hello.txt"))) === "hello again, and longer\n", "the edit arrives");
  await page.getByRole("link", { name: "hello.txt" }).click();
  await page.getByRole("button", { name: /^Restore revision/ }).first().click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore it" }).click();
  await until(async () => (await text(at(laptop, "hello.txt"))) === "hello\n", "the old version reaches the other node");
  await picture(page, "live-file");
});

await test("a conflict is resolved", async () => {
  await writeFile(at(office, "list"), "one\n");
  await until(async () => (await text(at(laptop, "list"))) === "one\n", "the list arrives");
  await laptop.process.stop();
  await writeFile(at(office, "list"), "one\nfrom the office\n");
  await writeFile(at(laptop, "list"), "one\nfrom the laptop, on the way\n");
  await startNode(laptop);
  await go(page, "#/conflicts");
  const card = page.getByRole("article", { name: "Conflict at list" });
  await card.waitFor();
  await card.getByText("from the office").waitFor();
  await picture(page, "live-conflict");
  const copy = (await readdir(at(office))).find((name) => name.includes(".conflict-"));
  const kept = await text(at(office, copy));
  await card.getByRole("button", { name: /^Keep the copy/ }).click();
  await card.waitFor({ state: "detached" });
  await until(async () => (await text(at(office, "list"))) === kept && (await text(at(laptop, "list"))) === kept, "both hold what was the copy");
  await until(async () => !(await readdir(at(laptop))).some((name) => name.includes(".conflict-")), "the copy is gone everywhere");
});

await test("a brake is approved, over a restart of the node that is looked at", async () => {
  const names = Array.from({ length: 30 }, (_, index) => `page-${index}`);
  for (const name of names) await writeFile(at(office, name), name);
  await until(() => names.every((name) => existsSync(at(laptop, name))), "the pages arrive");
  await office.process.stop();
  await page.getByText("Disconnected", { exact: true }).waitFor();
  for (const name of names) await rm(at(office, name));
  await startNode(office);
  await page.locator(".banner").getByText("A safety brake holds deletions").waitFor();
  await picture(page, "live-brake");
  equal(existsSync(at(laptop, names[0])), true, "nothing is deleted before");
  await page.getByRole("link", { name: "Review" }).first().click();
  await page.getByRole("button", { name: "Approve…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Approve the deletions" }).click();
  await until(() => names.every((name) => !existsSync(at(laptop, name))), "the deletions reach the other node");
});

await test("nothing went wrong in the pages", async () => {
  equal([...(managerPage?.wrong ?? ["none"]), ...(page?.wrong ?? ["none"])], [], "errors");
});

await browser.close();
for (const one of [...started]) await one.stop();
await rm(world, { recursive: true, force: true });
process.exit(finish());
