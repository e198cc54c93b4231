/** A page of your app: it asks your app server for a token, and meets people with Tidegate's SDK. */

const $ = (id) => document.getElementById(id);

function say(text) {
  const now = new Date();
  const time = document.createElement("time");
  Object.assign(time, { dateTime: now.toISOString(), textContent: now.toLocaleTimeString() });
  const line = document.createElement("li");
  line.append(time, ` ${text}`);
  $("events").append(line);
}

async function ask(path, method = "POST") {
  const answer = await fetch(path, { method });
  const body = await answer.json().catch(() => ({})); // an app server in trouble may answer anything
  if (!answer.ok) throw new Error(body.message ?? `${path}: ${answer.status}`);
  return body;
}

/** The id of a meeting that exists: the one typed, or a new one. */
async function chooseMeeting(typed) {
  const path = typed ? `/validate-meeting/${encodeURIComponent(typed)}` : "/create-meeting";
  const { roomId } = await ask(path);
  return roomId;
}

/** A participant's tile, which shows whatever streams they have at the time. */
function addTile(participant) {
  const tile = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = participant.displayName;
  tile.id = `tile-${participant.id}`;
  tile.append(caption);
  $("tiles").append(tile);

  const elements = new Map();
  const show = (stream) => {
    const isAudio = stream.kind === "audio" || stream.kind === "shareAudio";
    if (isAudio && participant.local) return; // nobody wants to hear themselves
    const element = document.createElement(isAudio ? "audio" : "video");
    Object.assign(element, { autoplay: true, playsInline: true, muted: participant.local });
    element.srcObject = new MediaStream([stream.track]);
    elements.set(stream.id, element);
    tile.prepend(element);
  };
  participant.streams.forEach(show);
  participant.on("stream-enabled", show);
  participant.on("stream-disabled", (stream) => {
    elements.get(stream.id)?.remove();
    elements.delete(stream.id);
  });
  participant.on("media-status-changed", ({ kind, newStatus }) => {
    say(`${participant.displayName}: ${kind} ${newStatus ? "on" : "off"}`);
    const button = participant.local && { audio: $("mic"), video: $("webcam") }[kind];
    if (button) button.ariaPressed = String(newStatus);
  });
}

function follow(meeting) {
  meeting.on("meeting-joined", () => {
    say("You joined");
    addTile(meeting.localParticipant);
  });
  meeting.on("participant-joined", (participant) => {
    say(`${participant.displayName} joined`);
    addTile(participant);
  });
  meeting.on("participant-left", (participant) => {
    say(`${participant.displayName} left`);
    $(`tile-${participant.id}`)?.remove();
  });
  meeting.on("meeting-left", ({ name }) => {
    say(`You are out: ${name}`);
    $("tiles").replaceChildren();
    $("call").hidden = true;
    $("lobby").hidden = false;
  });
  meeting.on("error", ({ code, message }) => say(`Error ${code}: ${message}`));
}

async function join(name, typed) {
  const { token, url } = await ask("/get-token", "GET");
  const meetingId = await chooseMeeting(typed);
  const { VideoSDK } = await import(`${url}/sdk/tidegate.js`);
  VideoSDK.config(token);
  const meeting = VideoSDK.initMeeting({ meetingId, name });
  follow(meeting);
  await meeting.join();
  return meeting;
}

let meeting;

$("lobby").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("lobby").inert = true; // a second click joins no second time
  try {
    meeting = await join($("name").value, $("meeting-id").value.trim());
    $("joined-id").value = meeting.id;
    $("lobby").hidden = true;
    $("call").hidden = false;
  } catch (error) {
    say(`Cannot join: ${error.message}`);
  } finally {
    $("lobby").inert = false;
  }
});

const ACTIONS = { mic: "toggleMic", webcam: "toggleWebcam", leave: "leave", end: "end" };
for (const [id, method] of Object.entries(ACTIONS)) {
  $(id).addEventListener("click", () => meeting[method]().catch((error) => say(`Error: ${error.message}`)));
}
