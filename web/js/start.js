/** The start page: sign in where it must be, create a meeting, join one. */

import { meetingPath, safeNext } from "./codes.js";
import { createRoom, session, signIn, signOut } from "./console.js";
import { byId, drawIcons, make } from "./dom.js";
import { formatAgo, t, translate } from "./i18n.js";
import { forgetRooms, recentRooms } from "./memory.js";
import { problemWords } from "./problems.js";
import { Sections } from "./sections.js";

/** @type {Sections} */
let sections;

const problem = (text) => (byId("start-problem").textContent = text);

function tell(error) {
  if (error.status === 401) return show("signed-out");
  const { title, text } = problemWords(error);
  problem(`${title}. ${text}`);
}

function show(mode) {
  byId("sign-in").hidden = mode !== "signed-out";
  byId("meet").hidden = mode === "signed-out";
  byId("sign-out").hidden = mode !== "signed-in";
  byId("dev-note").hidden = mode !== "dev";
  sections.allow(mode !== "signed-out");
  if (mode === "signed-out") byId("key").focus();
  else showRecent();
}

function showRecent() {
  const rooms = recentRooms();
  byId("recent").hidden = rooms.length === 0;
  byId("recent-list").replaceChildren(
    ...rooms.map(({ roomId, at }) =>
      make("li", {}, make("a", { href: `/meeting/${encodeURIComponent(roomId)}` }, roomId, " ", make("small", {}, formatAgo(new Date(at))))),
    ),
  );
}

async function create() {
  const button = byId("new");
  button.disabled = true;
  problem("");
  try {
    const { roomId } = await createRoom();
    location.assign(`/meeting/${roomId}`);
  } catch (error) {
    button.disabled = false;
    tell(error);
  }
}

function join(event) {
  event.preventDefault();
  const path = meetingPath(byId("code").value, location.origin);
  if (path) {
    location.assign(path);
    return;
  }
  problem(t("start.joinEmpty"));
  byId("code").setAttribute("aria-invalid", "true");
  byId("code").focus();
}

async function enter(event) {
  event.preventDefault();
  const form = byId("sign-in");
  const button = form.querySelector("button");
  button.disabled = true;
  problem("");
  try {
    await signIn(form.key.value.trim(), form.secret.value.trim());
    form.reset();
    const next = safeNext(new URLSearchParams(location.search).get("next"));
    if (next) location.replace(next);
    else show("signed-in");
  } catch (error) {
    if (error.status === 429) problem(t("signin.tooMany"));
    else if (error.status >= 400 && error.status < 500) problem(t("signin.wrong"));
    else tell(error);
    form.secret.focus();
  } finally {
    button.disabled = false;
  }
}

async function main() {
  translate(document);
  drawIcons(document);
  document.title = t("start.title");
  sections = new Sections();
  byId("new").addEventListener("click", create);
  byId("join").addEventListener("submit", join);
  byId("code").addEventListener("input", () => byId("code").removeAttribute("aria-invalid"));
  byId("sign-in").addEventListener("submit", enter);
  byId("sign-out").addEventListener("click", () => signOut().then(() => show("signed-out"), tell));
  byId("forget").addEventListener("click", () => {
    forgetRooms();
    showRecent();
  });
  try {
    show((await session()).mode);
  } catch (error) {
    tell(error);
  }
}

main();
