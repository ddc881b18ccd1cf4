// Walks a built site in a real browser, and says everything that is wrong with it.
//
// node drive.mjs MODULES SITE SCREENSHOTS CHROMIUM: the directory that holds node_modules, the site, where pictures of
// the pages go, and the browser. Prints one line for each finding; ends with 1 if there are any. The site is served on
// loopback below a prefix, as GitHub Pages does it. Nothing is mended and nothing outside of SCREENSHOTS is written.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { extname, join, posix } from "node:path";

const [modules, site, screenshots, executablePath] = process.argv.slice(2);
const require = createRequire(join(modules, "package.json"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const PREFIX = "/helix/";
const WIDTHS = [390, 1440];
const THEMES = ["light", "dark"];
const KINDS = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".json": "application/json",
  ".jsonl": "application/jsonl",
};

const findings = new Set();
const finding = (page, what) => findings.add(`${page}: ${what}`);

function filesBelow(folder) {
  return readdirSync(join(site, folder)).sort().flatMap((name) => {
    const path = posix.join(folder, name);
    return statSync(join(site, path)).isDirectory() ? filesBelow(path) : [path];
  });
}

function serve() {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const file = path.startsWith(PREFIX) && !path.includes("..") ? path.slice(PREFIX.length) || "index.html" : undefined;
    if (file === undefined || !files.has(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": KINDS[extname(file)] ?? "application/octet-stream" });
    response.end(readFileSync(join(site, file)));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

// A browser window in which whatever a page asks for or complains of is noted.
async function windowOf(browser, origin, options) {
  const context = await browser.newContext({ ...options, bypassCSP: false });
  const page = await context.newPage();
  let current = "";
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) finding(current, `console: ${message.text()}`);
  });
  page.on("pageerror", (error) => finding(current, `script: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) finding(current, `${response.status()} for ${response.url()}`);
  });
  await context.route("**/*", (route) => {
    const url = route.request().url();
    if (url.startsWith(`${origin}${PREFIX}`)) return route.continue();
    finding(current, `asks another place: ${url}`);
    return route.abort();
  });
  const open = async (file) => {
    current = file;
    await page.goto(`${origin}${PREFIX}${file}`, { waitUntil: "load" });
  };
  return { context, page, open };
}

// What a page links to, what can be linked to in it, and what a reader of its head sees.
function contents() {
  const links = [...document.querySelectorAll("a[href]")].map((link) => link.href);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  const broken = [...document.images].filter((image) => image.naturalWidth === 0).map((image) => image.src);
  const cut = [...document.querySelectorAll(".thumbnail img")].filter((image) => {
    const [inner, outer] = [image.getBoundingClientRect(), image.closest(".thumbnail").getBoundingClientRect()];
    return inner.height < 1 || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
  });
  return {
    links,
    ids,
    broken,
    cut: cut.map((image) => image.src),
    wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    headings: document.querySelectorAll("h1").length,
    title: document.title,
    language: document.documentElement.lang,
    policy: document.querySelector("meta[http-equiv=Content-Security-Policy]")?.content ?? "",
  };
}

// Pictures below the fold are loaded only when they are scrolled to, which nobody does here.
async function loadPictures() {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  await Promise.all(images.map((image) => image.decode().catch(() => undefined)));
}

async function judge({ page }, file, width, theme) {
  await page.evaluate(loadPictures);
  const found = await page.evaluate(contents);
  if (found.wider > 0) finding(file, `${found.wider} px wider than ${width} px`);
  if (found.headings !== 1) finding(file, `${found.headings} h1 headings`);
  if (!found.title || !found.language) finding(file, "no title or no language");
  if (!found.policy.startsWith("default-src 'none'")) finding(file, "no strict content security policy");
  for (const image of found.broken) finding(file, `a picture that cannot be shown: ${image}`);
  for (const image of found.cut) finding(file, `a picture that is cut: ${image}`);
  const name = `${file.replaceAll("/", "_").replace(/\.html$/, "")}.${width}.${theme}.png`;
  await page.screenshot({ path: join(screenshots, name), fullPage: true });
  return found;
}

async function accessible({ page }, file, theme) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  for (const { id, help, nodes } of violations) {
    finding(file, `axe ${id} (${theme}): ${help}: ${nodes.map((node) => node.html.slice(0, 120)).slice(0, 3).join(" | ")}`);
  }
}

function links(pages, origin) {
  const base = `${origin}${PREFIX}`;
  for (const [file, { links }] of pages) {
    for (const link of links.filter((link) => link.startsWith(origin))) {
      const [target, anchor] = link.slice(base.length).split("#");
      const path = decodeURIComponent(target) || "index.html";
      if (!link.startsWith(base) || !files.has(path)) finding(file, `a link to nothing: ${link}`);
      else if (anchor && !pages.get(path)?.ids.includes(decodeURIComponent(anchor))) finding(file, `no such anchor: ${link}`);
    }
  }
}

function reachable(pages, origin) {
  const seen = new Set(["index.html"]);
  const queue = ["index.html"];
  while (queue.length > 0) {
    for (const link of pages.get(queue.pop())?.links ?? []) {
      const path = link.startsWith(`${origin}${PREFIX}`) && decodeURIComponent(link.slice(`${origin}${PREFIX}`.length).split("#")[0]);
      if (path && pages.has(path) && !seen.has(path)) {
        seen.add(path);
        queue.push(path);
      }
    }
  }
  for (const file of pages.keys()) if (!seen.has(file)) finding(file, "no page leads to it");
}

// Without scripts a page says the same, and a diagram can still be enlarged.
async function withoutScripts(browser, origin) {
  const view = await windowOf(browser, origin, { javaScriptEnabled: false, viewport: { width: 1440, height: 900 } });
  for (const file of htmlFiles) {
    await view.open(file);
    if (!(await view.page.locator("main h1").first().isVisible())) finding(file, "shows nothing without scripts");
    const double = view.page.locator("label[for=double]");
    if ((await double.count()) === 0) continue;
    const picture = view.page.locator(".canvas img");
    const before = (await picture.boundingBox()).width;
    await double.click();
    const after = (await picture.boundingBox()).width;
    if (after < before * 1.5) finding(file, `is not enlarged: ${before} to ${after} px`);
  }
  await view.context.close();
}

const files = new Set(filesBelow(""));
const htmlFiles = [...files].filter((file) => file.endsWith(".html"));
rmSync(screenshots, { recursive: true, force: true });
mkdirSync(screenshots, { recursive: true });
const server = await serve();
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const pages = new Map();
  const walk = async (width, theme) => {
    const view = await windowOf(browser, origin, { viewport: { width, height: 900 }, colorScheme: theme });
    // Each theme is judged at one width; documents look alike, so that the other two ways are for all else.
    const whole = (width === 390) === (theme === "dark");
    for (const file of whole ? htmlFiles : htmlFiles.filter((file) => !file.startsWith("docs/"))) {
      await view.open(file);
      pages.set(file, await judge(view, file, width, theme));
      if (whole) await accessible(view, file, theme);
    }
    await view.context.close();
  };
  await Promise.all(WIDTHS.flatMap((width) => THEMES.map((theme) => walk(width, theme))));
  links(pages, origin);
  reachable(pages, origin);
  await withoutScripts(browser, origin);
} finally {
  await browser.close();
  server.close();
}
for (const line of findings) console.log(line);
console.log(`${htmlFiles.length} pages, ${findings.size} finding(s)`);
process.exitCode = findings.size > 0 ? 1 : 0;
