// Walks the dashboard over the mock server: every page, light and dark, on a phone and on a desk, with axe; then what people do in it.

import { axe, equal, finish, holds, launch, open, picture, test, until } from "./browser.mjs";
import { HOSTILE, TOKENS, startMock } from "./mock.mjs";
import { anEvent } from "./worlds.mjs";

const browser = await launch();
const HOSTILE_FOLDER = encodeURIComponent(HOSTILE[0]);

const PAGES = {
  node: { "cluster": "#/cluster", "cluster-chosen": "#/cluster?select=nas", "folders": "#/folders", "folder": "#/folder/site", "million": "#/folder/media?path=2026", "hostile": `#/folder/${HOSTILE_FOLDER}`, "file": "#/file/site?path=notes.md", "file-bytes": "#/file/site?path=caf%E9", "conflicts": "#/conflicts", "events": "#/events", "brakes": "#/brakes", "settings": "#/settings", "lost-way": "#/nowhere" },
  manager: { "cluster": "#/cluster", "folders": "#/folders", "nodes": "#/nodes", "tokens": "#/tokens", "placements": "#/placements" },
  hundred: { "cluster": "#/cluster?select=node-020", "folders": "#/folders", "nodes": "#/nodes", "placements": "#/placements" },
};

const KINDS = { node: { server: "node" }, manager: { server: "manager", nodes: 3 }, hundred: { server: "manager", nodes: 100 } };

async function signedIn(mock, look = {}, scope = "admin") {
  const page = await open(browser, look);
  await page.goto(`${mock.url}/#token=${TOKENS[scope]}`);
  await page.getByText("Live", { exact: true }).waitFor();
  return page;
}

async function go(page, hash) {
  await page.evaluate((to) => { location.hash = to; }, hash);
  await page.waitForFunction(() => document.querySelector("h1") && ![...document.querySelectorAll(".loading")].length && !document.body.textContent.includes("Comparing…"));
}

/** Runs with a mock and a signed in page of its own. */
const over = (kind, run, look, scope) => async () => {
  const mock = await startMock(KINDS[kind]);
  const page = await signedIn(mock, look, scope);
  try {
    await run(page, mock);
    equal(page.wrong, [], "errors, dialogs, violations of the policy");
  } finally {
    await page.context().close();
    mock.close();
  }
};

for (const [kind, pages] of Object.entries(PAGES)) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [360, 1280]) {
      await test(`pages of ${kind}, ${scheme}, ${width} px`, over(kind, async (page, mock) => {
        mock.world.tick();
        mock.push();
        for (const [name, hash] of Object.entries(pages)) {
          await go(page, hash);
          equal(await axe(page), [], `axe on ${name}`);
          equal(await page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)), 0, `${name} is wider than the screen by`);
          await picture(page, `${kind}-${name}-${scheme}-${width}`);
        }
      }, { scheme, width, height: width === 360 ? 740 : 860 }));
    }
  }
}

await test("axe is at work: it finds a button without a name", over("node", async (page) => {
  // Beside what the dashboard draws, which takes away what it did not draw itself.
  await page.evaluate(() => document.body.append(document.createElement("button")));
  const found = await axe(page);
  holds(found.length === 1 && found[0].startsWith("button-name"), `it found ${found}`);
}));

await test("differences, paths and addresses hold for random ones", over("node", async (page) => {
  const wrong = await page.evaluate(async () => {
    const { compare } = await import("/diff.js");
    const { decode, encode, fromBytes, bytesOf, steps } = await import("/path.js");
    const { parse, to } = await import("/route.js");
    let seed = 7;
    const random = (below) => { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor((seed / 2147483648) * below); };
    const found = [];
    for (let round = 0; round < 2000; round += 1) {
      const lines = () => Array.from({ length: random(9) }, () => "abc"[random(3)]);
      const [left, right] = [lines(), lines()];
      const rows = compare(left.map((one) => `${one}\n`).join(""), right.map((one) => `${one}\n`).join(""));
      const skipped = rows.reduce((sum, row) => sum + (row.count ?? 0), 0);
      const isWhole = (key, all) => { const shown = rows.filter((row) => row[key] !== undefined); return shown.length + skipped === all.length && shown.every((row) => all[row[`${key}At`] - 1] === row[key]); };
      if (!isWhole("left", left) || !isWhole("right", right) || rows.some((row) => row.kind === "same" && row.left !== row.right)) found.push(["diff", left, right]);
      const bytes = Uint8Array.from({ length: 1 + random(12) }, () => [random(256), 0x2f, 0x25, 0x26][random(4)]);
      const path = fromBytes(bytes);
      const again = decode(encode(path));
      if (String(bytesOf(again)) !== String(bytes) || again.hex !== path.hex) found.push(["path", [...bytes]]);
      const route = parse(to.file("a/b?c&d#e%", path));
      if (route.folder !== "a/b?c&d#e%" || String(bytesOf(route.path)) !== String(bytes)) found.push(["route", [...bytes]]);
      const last = steps(path).at(-1);
      if (last && bytes.at(-1) !== 0x2f && String(bytesOf(last.path)) !== String(bytes)) found.push(["steps", [...bytes]]);
    }
    return found.slice(0, 3);
  });
  equal(wrong, [], "what does not hold");
}));

await test("signing in: by the form, with a wrong token, and out again", async () => {
  const mock = await startMock();
  const page = await open(browser);
  await page.goto(mock.url);
  equal(await axe(page), [], "axe");
  await picture(page, "signin");
  await page.getByLabel("Token").fill("rpt_wrong");
  await page.keyboard.press("Enter");
  await page.getByText("the token is unknown or expired").waitFor();
  await page.getByLabel("Token").fill(TOKENS.read);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Cluster" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in to replicat" }).waitFor();
  equal(await page.evaluate(() => sessionStorage.length), 0, "tokens kept");
  equal(page.wrong, [], "errors");
  await page.context().close();
  mock.close();
});

await test("a token in the address is taken out of it and kept for the tab", over("node", async (page) => {
  holds(!page.url().includes("token"), page.url());
  await page.reload();
  await page.getByText("Live", { exact: true }).waitFor();
  equal(await page.evaluate(() => [sessionStorage.length, document.cookie]), [1, ""], "what is kept");
}));

await test("hostile names are text: nothing runs, nothing is reordered", over("node", async (page, mock) => {
  for (const hash of Object.values(PAGES.node)) await go(page, hash);
  for (const name of HOSTILE) mock.event(anEvent({ path: name, source: name, folder: HOSTILE[0], network_source: name, source_path: name }));
  mock.world.now.name = HOSTILE[0];
  mock.world.now.nodes[0].reason = HOSTILE[2];
  mock.push();
  await go(page, "#/events");
  await page.getByText("photo\\u{202e}gpj.exe").first().waitFor();
  for (const name of HOSTILE) await go(page, `#/file/${HOSTILE_FOLDER}?path=${encodeURIComponent(name)}`);
  await go(page, `#/folder/${encodeURIComponent(HOSTILE[2])}?path=${encodeURIComponent(HOSTILE[0])}`);
  equal(await page.evaluate(() => document.querySelectorAll("#page img, #page script, #page iframe, [onerror], [onload], a[href^='javascript' i]").length), 0, "elements out of names");
  equal(await page.evaluate(() => /[\u202a-\u202e\u2066-\u2069\u200b\u0007\u001b]/.test(document.body.innerText + document.title)), false, "a hidden character is shown raw");
}));

await test("words that every object knows are words like others", over("node", async (page, mock) => {
  for (const word of ["constructor", "__proto__", "toString"]) {
    await go(page, `#/${word}`);
    await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    mock.world.now.status = word;
    mock.world.now.nodes[0].status = word;
    mock.world.now.folders[0].status = word;
    mock.world.now.folders[3].brake = word;
    mock.push();
    for (const hash of ["#/cluster", "#/folders", "#/brakes", "#/folder/site"]) {
      await go(page, hash);
      await page.getByText(word).first().waitFor();
    }
    mock.event(anEvent({ name: word, path: `${word}.txt` }));
    await go(page, "#/events");
    await page.getByText(`${word}.txt`).first().waitFor();
  }
}));

await test("a long roster is shown in parts, and found by name", over("hundred", async (page) => {
  await go(page, "#/nodes");
  equal(await page.locator("tbody tr").count(), 50, "rows");
  await page.getByRole("button", { name: "Show 50 more" }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 100);
  await page.getByLabel("Name or address holds").fill("node-09");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 10);
}));

await test("a burst of events leaves the page usable", over("node", async (page, mock) => {
  await go(page, "#/events");
  for (let round = 0; round < 3000; round += 1) mock.event(anEvent({ path: `burst/${round}` }));
  await page.getByText("burst/2999", { exact: true }).waitFor();
  equal(await page.locator("tbody tr").count(), 200, "rows");
}));

await test("a folder of a million files: one page at a time, forth and back", over("node", async (page, mock) => {
  await go(page, "#/folder/media?path=2026");
  equal(await page.locator("[data-list] tbody tr").count(), 100, "rows");
  await page.getByRole("link", { name: "Next" }).first().click();
  await page.getByText("IMG_0000100.jpg").waitFor();
  await page.getByRole("link", { name: "Next" }).first().click();
  await page.getByText("IMG_0000200.jpg").waitFor();
  equal(await page.evaluate(() => document.activeElement.hasAttribute("data-list")), true, "the focus is on the list");
  await page.getByRole("link", { name: "Previous" }).first().click();
  await page.getByText("IMG_0000100.jpg").waitFor();
  await page.getByRole("link", { name: "First page" }).last().click();
  await page.getByText("IMG_0000000.jpg").waitFor();
  for (const request of mock.requests.filter((one) => one.path.endsWith("/tree"))) holds(/limit=\d{1,3}(&|$)/.test(request.query), request.query);
}));

const sent = (mock, method, path) => until(() => mock.requests.find((one) => one.method === method && one.path === path), `${method} ${path}`);
const checked = (request) => equal([request.headers["x-replicat-request"], request.headers.authorization?.slice(0, 11), request.headers.cookie], ["1", "Bearer rpt_", undefined], "headers");

await test("pause, resume and rescan reach the server with the right headers", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  await page.getByRole("button", { name: "Pause" }).click();
  checked(await sent(mock, "POST", "/api/v1/folders/site/pause"));
  await page.getByText("site is paused.").first().waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  checked(await sent(mock, "POST", "/api/v1/folders/site/resume"));
  await page.getByRole("button", { name: "Rescan" }).click();
  checked(await sent(mock, "POST", "/api/v1/folders/site/rescan"));
}));

await test("download in pieces, of a name that is no text, and of an empty file", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  const get = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: `Download ${name}`, exact: true }).click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    return [download.suggestedFilename(), Buffer.concat(chunks).length];
  };
  equal(await get("big.bin"), ["big.bin", 20 * 1024 * 1024], "the download");
  equal((await get("caf\\xe9"))[1], 5, "bytes of caf\\xe9");
  equal((await get("empty"))[1], 0, "bytes of the empty file");
  const pieces = mock.requests.filter((one) => one.path.endsWith("/file") && one.query.includes("big.bin"));
  equal([pieces.length, pieces[1].headers.range, Boolean(pieces[1].headers["if-range"])], [3, "bytes=8388608-16777215", true], "pieces");
}));

await test("upload: new, and over one that is there after a question", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  await page.locator("#upload").setInputFiles({ name: "new file.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
  const put = await sent(mock, "PUT", "/api/v1/folders/site/file");
  checked(put);
  equal([put.query, put.headers["if-none-match"], put.body], ["?path=new%20file.txt", "*", "hello"], "the upload");
  await page.getByRole("link", { name: "new file.txt" }).waitFor();
  await page.locator("#upload").setInputFiles({ name: "docs.txt", mimeType: "text/plain", buffer: Buffer.from("again") });
  await page.getByRole("dialog").getByRole("button", { name: "Replace it" }).click();
  await until(() => mock.requests.filter((one) => one.method === "PUT").length === 3, "the second upload");
  equal(mock.world.content("site", "docs.txt").toString(), "again", "the content");
}));

await test("delete asks first, by keyboard too, and Escape changes nothing", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  await page.getByRole("button", { name: "Delete docs.txt…" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  equal(await axe(page), [], "axe");
  await picture(page, "dialog");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Delete docs.txt…");
  holds(!mock.requests.some((one) => one.method === "DELETE"), "it was deleted");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Delete it" }).click();
  const request = await sent(mock, "DELETE", "/api/v1/folders/site/file");
  checked(request);
  holds(/^"[0-9a-f]{64}"$/.test(request.headers["if-match"]), "If-Match");
  await page.getByRole("link", { name: "docs.txt", exact: true }).first().waitFor({ state: "detached" });
  equal(await page.evaluate(() => document.activeElement.hasAttribute("data-list")), true, "the focus is on the list after the row is gone");
}));

await test("a conflict: the difference, and each way to resolve it", over("node", async (page, mock) => {
  await go(page, "#/conflicts");
  await page.getByText("- Names may hold blanks.").waitFor();
  const card = page.getByRole("article", { name: "Conflict at notes.md" });
  await card.getByRole("button", { name: "Keep the copy" }).click();
  const request = await sent(mock, "POST", "/api/v1/folders/site/resolve");
  checked(request);
  equal(JSON.parse(request.body), { path: "notes.md", keep: "copy" }, "the body");
  await card.waitFor({ state: "detached" });
  await page.getByRole("article", { name: "Conflict at logo.png" }).getByRole("button", { name: "Keep both" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("article", { name: "Conflict at logo.png" }).waitFor({ state: "detached" });
  equal(await page.evaluate(() => document.activeElement.textContent), "Conflicts", "the focus after the conflict is gone");
}));

await test("restore an old version of a path that is no text", over("node", async (page, mock) => {
  await go(page, "#/file/site?path=caf%E9");
  await page.getByRole("button", { name: "Restore revision 3…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore it" }).click();
  const request = await sent(mock, "POST", "/api/v1/folders/site/restore");
  checked(request);
  equal(JSON.parse(request.body), { path: { hex: "636166e9" }, revision: 3 }, "the body");
  await page.getByText("Revision 3 is restored.").first().waitFor();
}));

await test("a brake: the banner everywhere, and an approval with a question", over("node", async (page, mock) => {
  for (const hash of ["#/cluster", "#/events", "#/folder/site"]) {
    await go(page, hash);
    await page.locator(".banner").getByText("A safety brake holds deletions").waitFor();
  }
  await page.getByRole("link", { name: "Review" }).first().click();
  await page.getByRole("button", { name: "Approve…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Approve the deletions" }).click();
  checked(await sent(mock, "POST", "/api/v1/folders/archive/approve"));
  await page.getByText("waits for approval", { exact: true }).waitFor({ state: "detached" });
}));

await test("an action that fails says so where it was, with what to do", over("node", async (page, mock) => {
  mock.fail = (method) => (method === "POST" ? [409, "closed", `the folder ${HOSTILE[0]} is halted`, "look at its reason"] : null);
  await go(page, "#/folder/site");
  await page.getByRole("button", { name: "Rescan" }).click();
  const alert = page.getByRole("alert");
  await alert.getByText("the folder <img src=x onerror=alert(1)> is halted").waitFor();
  await alert.getByText("look at its reason").waitFor();
  equal(await axe(page), [], "axe");
}));

await test("who may only look is not offered to act", over("node", async (page) => {
  for (const hash of ["#/folders", "#/folder/site", "#/brakes", "#/conflicts", "#/file/site?path=notes.md"]) {
    await go(page, hash);
    equal(await page.getByRole("button", { name: /Pause|Delete|Approve|Restore|Keep|Upload|Rescan/ }).count(), 0, `actions on ${hash}`);
  }
  equal(await page.getByRole("link", { name: "Settings" }).count(), 0, "Settings");
}, {}, "read"));

await test("events come live, are filtered, and pause", over("node", async (page, mock) => {
  await go(page, "#/events");
  mock.event(anEvent({ path: "live/one.txt", name: "notify.Create" }));
  await page.getByText("live/one.txt").waitFor();
  await page.getByLabel("Path or node holds").fill("one.txt");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await page.getByRole("button", { name: "Pause" }).click();
  mock.event(anEvent({ path: "live/one.txt.later", name: "notify.Create" }));
  await page.getByText("1 new event since").waitFor();
  equal(await page.getByText("live/one.txt.later").count(), 0, "shown while paused");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("live/one.txt.later").waitFor();
  equal(await page.getByLabel("Path or node holds").inputValue(), "one.txt", "the filter");
}));

await test("a file that comes into the directory that is shown is listed by itself", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  mock.world.put("site", "came.txt", Buffer.from("here"));
  mock.event(anEvent({ folder: "site", path: "came.txt", name: "notify.Create" }));
  await page.getByRole("link", { name: "came.txt" }).waitFor();
}));

await test("a lost connection is shown, and taken up again where it was", over("node", async (page, mock) => {
  mock.event(anEvent({ path: "last.txt" }));
  const last = mock.world.events.at(-1).id;
  await go(page, "#/events");
  await page.getByText("last.txt").waitFor();
  mock.isDown = true;
  mock.cut();
  await page.getByText("Disconnected", { exact: true }).waitFor();
  await picture(page, "disconnected");
  equal(await axe(page), [], "axe");
  await page.getByText(/Trying again in [3-9] s/).waitFor();
  mock.isDown = false;
  await page.getByRole("button", { name: "Try now" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  equal(mock.requests.filter((one) => one.path.endsWith("/stream")).at(-1).headers["last-event-id"], last, "Last-Event-ID");
}));

await test("an update takes neither the focus nor what was typed", over("node", async (page, mock) => {
  await go(page, "#/folder/site");
  const input = page.getByLabel("Path in this folder, also of a deleted file");
  await input.fill("gone/file");
  for (let round = 0; round < 3; round += 1) {
    mock.world.tick();
    mock.push();
    await page.waitForTimeout(300);
  }
  equal([await input.inputValue(), await input.evaluate((node) => node === document.activeElement)], ["gone/file", true], "the input");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "file" }).waitFor();
}));

await test("by keyboard alone: the skip link first, each stop visible, pages and rows reached", over("node", async (page) => {
  await page.keyboard.press("Tab");
  equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content", "the first stop");
  await page.keyboard.press("Enter");
  equal(await page.evaluate(() => document.activeElement.id), "main", "after the skip link");
  await page.getByRole("link", { name: "Folders" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.localName === "h1" && document.activeElement.textContent === "Folders");
  const stops = [];
  for (let stop = 0; stop < 25; stop += 1) {
    await page.keyboard.press("Tab");
    stops.push(await page.evaluate(() => {
      // After the last stop comes the browser's own bar.
      if (document.activeElement === document.body) return ["", true];
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      return [document.activeElement.getAttribute("aria-label") || document.activeElement.textContent, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2];
    }));
  }
  holds(stops.every(([, isVisible]) => isVisible), `focus not visible: ${JSON.stringify(stops.filter(([, isVisible]) => !isVisible))}`);
  for (const wanted of ["Pause all", "site", "Pause site", "media"]) holds(stops.some(([text]) => text === wanted), `${wanted} is not reached: ${JSON.stringify(stops)}`);
}));

await test("the theme can be chosen, and stays", over("node", async (page) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: /^Colours: auto/ }).click();
  await page.getByRole("button", { name: /^Colours: light/ }).click();
  await page.getByRole("button", { name: /^Colours: dark/ }).waitFor();
  await page.waitForFunction((before) => getComputedStyle(document.body).backgroundColor !== before, light);
  await page.reload();
  holds((await ground()) !== light, "light again after a reload");
}));

await test("nothing moves for those who want no motion", over("node", async (page) => {
  equal(await page.evaluate(() => [...document.querySelectorAll("*")].filter((node) => parseFloat(getComputedStyle(node).transitionDuration) > 0).length), 0, "transitions");
}, { reducedMotion: "reduce" }));

await test("an enrolment token: made, shown once, copied, revoked", over("manager", async (page, mock) => {
  await go(page, "#/tokens");
  await page.getByLabel("Only for the node named (optional)").fill("tower");
  await page.getByLabel("Role").selectOption("read-only");
  await page.getByRole("button", { name: "Create token" }).click();
  const request = await sent(mock, "POST", "/api/v1/tokens");
  checked(request);
  equal(JSON.parse(request.body), { role: "read-only", node: "tower", expires_in: 3600 }, "the body");
  const secret = await page.locator(".secret code").textContent();
  await picture(page, "token-made");
  equal(await axe(page), [], "axe");
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  equal(await page.evaluate(() => navigator.clipboard.readText()), secret, "the clipboard");
  await go(page, "#/nodes");
  await go(page, "#/tokens");
  equal(await page.getByText(secret).count(), 0, "shown again");
  await page.getByRole("button", { name: "Revoke 0f3a51d0a3b4e677…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke the token" }).click();
  checked(await sent(mock, "DELETE", "/api/v1/tokens/0f3a51d0a3b4e677"));
}));

await test("a node is removed after a question", over("manager", async (page, mock) => {
  await go(page, "#/nodes");
  await page.getByRole("button", { name: "Remove nas…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove the node" }).click();
  checked(await sent(mock, "DELETE", "/api/v1/nodes/nas"));
  await page.getByRole("link", { name: "nas" }).waitFor({ state: "detached" });
}));

await test("placements: put, changed, withdrawn", over("manager", async (page, mock) => {
  await go(page, "#/placements");
  await page.getByLabel("Folder", { exact: true }).fill("new/folder");
  await page.getByRole("combobox", { name: "Node", exact: true }).selectOption("laptop");
  await page.getByRole("button", { name: "Place", exact: true }).click();
  const put = await sent(mock, "PUT", "/api/v1/placements/new%2Ffolder/laptop");
  checked(put);
  equal(JSON.parse(put.body), { mode: "read-write" }, "the body");
  await page.getByLabel("Mode of site on nas").selectOption("receive-only");
  equal(JSON.parse((await sent(mock, "PUT", "/api/v1/placements/site/nas")).body), { mode: "receive-only" }, "the body");
  await page.getByRole("button", { name: "Withdraw site from nas…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Withdraw" }).click();
  checked(await sent(mock, "DELETE", "/api/v1/placements/site/nas"));
}));

await browser.close();
process.exit(finish());
