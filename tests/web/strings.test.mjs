import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { formatClock, formatSpan, has, pickLanguage, t, tn } from "../../web/js/i18n.js";

const WEB = new URL("../../web/", import.meta.url);
const read = (name) => readFileSync(new URL(name, WEB), "utf8");
const LANGUAGES = readdirSync(new URL("strings/", WEB)).map((file) => file.replace(".js", ""));
const catalogue = async (language) => (await import(new URL(`strings/${language}.js`, WEB))).default;
const PAGES = ["index.html", "meeting.html"];
const MODULES = readdirSync(new URL("js/", WEB)).map((file) => `js/${file}`);

test("every language has the same strings with the same gaps", async () => {
  const en = await catalogue("en");
  assert.ok(LANGUAGES.length >= 2);
  for (const language of LANGUAGES) {
    const other = await catalogue(language);
    assert.deepEqual(Object.keys(other).sort(), Object.keys(en).sort());
    for (const key of Object.keys(en)) {
      const gaps = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
      assert.deepEqual(gaps(other[key]), gaps(en[key]), `${language}: ${key}`);
    }
  }
});

test("every string the pages name exists", () => {
  for (const file of [...PAGES, ...MODULES]) {
    const source = read(file);
    const named = file.endsWith(".html")
      ? [...source.matchAll(/data-t(?:-[a-z-]+)?="([^"]+)"/g)]
      : [...source.matchAll(/\bt\("([^"]+)"/g), ...source.matchAll(/"((?:state|keys|toast|left|people|start|call)\.[\w.]+)"/g)];
    for (const [, key] of named) assert.ok(has(key) || has(`${key}.other`), `${file}: ${key}`);
  }
});

test("every string is used somewhere", async () => {
  const sources = [...PAGES, ...MODULES].map(read).join("\n");
  // Built from parts: t(`media.${name}.${device}`) and the like.
  const families = [...sources.matchAll(/`([a-z]+)\.(?:[a-z]+\.)?\$\{/g)].map(([, family]) => family);
  for (const key of Object.keys(await catalogue("en"))) {
    const stem = key.replace(/\.(one|few|many|other)$/, "");
    assert.ok(sources.includes(`"${stem}"`) || families.includes(key.split(".")[0]), `unused: ${key}`);
  }
});

test("no words stand in the pages outside the catalogue", () => {
  for (const page of PAGES) {
    const body = read(page).replace(/<title>.*?<\/title>|<noscript>.*?<\/noscript>/gs, "");
    const words = body.replace(/<[^>]*>/gs, " ").match(/[A-Za-z]{2,}/g) ?? [];
    assert.deepEqual(words, [], page);
    for (const attribute of ["aria-label", "placeholder", "title"]) {
      assert.doesNotMatch(body, new RegExp(`\\s${attribute}="`), `${page}: ${attribute} has words of its own`);
    }
  }
});

test("the pages have no inline script or style, which their CSP forbids", () => {
  for (const page of PAGES) {
    const source = read(page);
    assert.doesNotMatch(source, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/);
    assert.match(source, /<html lang=/);
  }
});

test("the language is the first wanted one there is", () => {
  assert.equal(pickLanguage(["fr-FR", "de-AT", "en"]), "de");
  assert.equal(pickLanguage(["ja"]), "en");
  assert.equal(pickLanguage([]), "en");
});

test("values are filled in, and plurals and times follow the language", () => {
  assert.equal(t("toast.joined", { name: "Ada" }), "Ada joined");
  assert.equal(t("toast.joined", { name: "$& {name}" }), "$& {name} joined");
  assert.throws(() => t("no.such.key"));
  assert.equal(tn("call.peopleCount", 1), "1 person");
  assert.equal(tn("call.peopleCount", 2), "2 people");
  assert.equal(formatClock(65), "1:05");
  assert.equal(formatClock(3723), "1:02:03");
  assert.equal(formatSpan(0), "1 second");
  assert.equal(formatSpan(120), "2 minutes");
});

