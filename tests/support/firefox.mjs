// Drives one page of Firefox for tests/support/browser.py: reads a JSON array a line (command, arguments), answers a
// JSON object a line. Arguments of the process: folder with node_modules, Firefox, a script for each new page.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [tools, executablePath, watch] = process.argv.slice(2);
const puppeteer = createRequire(`${tools}/`)("puppeteer-core");

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath,
  headless: true,
  extraPrefsFirefox: {
    "media.navigator.streams.fake": true,
    "media.navigator.permission.disabled": true,
    "media.peerconnection.ice.loopback": true,
    "media.peerconnection.ice.obfuscate_host_addresses": false,
    "media.autoplay.default": 0,
    "network.dns.disableIPv6": false,
  },
});
const page = await browser.newPage();
await page.setViewport({ width: 1000, height: 640 });
await page.evaluateOnNewDocument(watch);
page.on("pageerror", (error) => console.error("firefox:", error.message));

const commands = {
  ready: async () => true,
  goto: (url) => page.goto(url, { waitUntil: "domcontentloaded" }).then(() => true),
  evaluate: (expression) => page.evaluate(expression),
  click: async (selector) => (await page.waitForSelector(selector, { visible: true })).click(),
  fill: async (selector, text) => {
    await page.waitForSelector(selector, { visible: true });
    await page.$eval(selector, (element, value) => (element.value = value), text);
  },
  close: () => page.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [command, ...args] = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[command](...args)) ?? null };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
