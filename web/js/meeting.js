/** The meeting page from the link to the last word: token, pre-join, call, and what is said afterwards. */

import { VideoSDK } from "/sdk/tidegate.js";
import { Api } from "./api.js";
import { Call } from "./call.js";
import { roomOf } from "./codes.js";
import { roomToken, session } from "./console.js";
import { byId, drawIcons, icon, showOnly } from "./dom.js";
import { formatSpan, t, translate } from "./i18n.js";
import { invitation, rememberRoom } from "./memory.js";
import { Prejoin } from "./prejoin.js";
import { leftWords, problemWords } from "./problems.js";

const MANUAL_LEAVE = 1101;
const roomId = roomOf(location.pathname);

function showMessage({ title, text }, { again, picture }) {
  byId("message-title").textContent = title;
  byId("message-text").textContent = text;
  byId("message-again").textContent = again;
  byId("message-icon").replaceChildren(icon(picture));
  showOnly("message");
  byId("message-title").focus();
}

const showProblem = (error) => showMessage(problemWords(error), { again: t("problem.retry"), picture: "warn" });

/** Guests bring a token in their link; everybody else asks the server, which may want them to sign in. */
async function access() {
  const invited = invitation(roomId);
  if (invited) return { token: async () => invited.token, name: invited.name, canInvite: false };
  const { mode } = await session();
  if (mode === "signed-out") {
    location.replace(`/?next=${encodeURIComponent(location.pathname)}`);
    return null;
  }
  // Asked now to find out whether there is such a room, and again at each attempt, for tokens expire.
  await roomToken(roomId);
  return { token: async () => (await roomToken(roomId)).token, canInvite: true };
}

function makeMeeting(token, choices) {
  VideoSDK.config(token);
  return VideoSDK.initMeeting({
    meetingId: roomId,
    name: choices.name,
    micEnabled: Boolean(choices.mic),
    webcamEnabled: Boolean(choices.cam),
    customMicrophoneAudioTrack: choices.mic ?? undefined,
    customCameraVideoTrack: choices.cam ?? undefined,
    defaultCamera: choices.camera,
    defaultMicrophone: choices.microphone,
  });
}

async function enter(entry) {
  const choices = await new Prejoin(roomId, entry.name).run();
  try {
    await call(entry, choices);
  } catch (error) {
    for (const track of [choices.mic, choices.cam]) track?.stop(); // no light burns on a page that only explains
    throw error;
  }
}

async function call(entry, choices) {
  const meeting = makeMeeting(await entry.token(), choices);
  // A guest's token is for the meeting only.
  const api = entry.canInvite ? new Api(entry.token) : null;
  const page = new Call(meeting, { roomId, canInvite: entry.canInvite, speaker: choices.speaker, api });
  meeting.on("meeting-left", (reason) => {
    page.stop();
    const text = page.seconds > 1 ? t("left.after", { time: formatSpan(page.seconds) }) : "";
    const picture = reason?.code === MANUAL_LEAVE ? "leave" : "warn";
    showMessage({ title: leftWords(reason), text }, { again: t("left.again"), picture });
  });
  await meeting.join();
  rememberRoom(roomId);
  page.start();
}

async function main() {
  translate(document);
  drawIcons(document);
  document.title = t("meeting.title", { room: roomId });
  byId("message-again").addEventListener("click", () => location.reload());
  if (!globalThis.RTCPeerConnection) {
    const words = { title: t("problem.unsupported.title"), text: t("problem.unsupported.text") };
    showMessage(words, { again: t("problem.retry"), picture: "warn" });
    return;
  }
  try {
    const entry = await access();
    if (entry) await enter(entry);
  } catch (error) {
    showProblem(error);
  }
}

main();
