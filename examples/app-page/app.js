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

/** Everybody sees whether they are recorded or on air, whoever started it; also who joins later. */
function showOnAir(meeting) {
  const isOn = (state) => /_(STARTING|STARTED)$/.test(state);
  const [recording, live] = [isOn(meeting.recordingState), isOn(meeting.livestreamState)];
  $("record").ariaPressed = String(recording);
  $("live").ariaPressed = String(live);
  $("rtmp-url").disabled = $("stream-key").disabled = live; // to end it, the button needs neither
  $("notice").textContent = [recording && "This meeting is recorded.", live && "This meeting is on air."].filter(Boolean).join(" ");
}

function followOnAir(meeting) {
  meeting.on("recording-state-changed", ({ status }) => {
    say(`Recording: ${status}`);
    showOnAir(meeting);
  });
  meeting.on("livestream-state-changed", ({ status, livestreams }) => {
    const outputs = livestreams.flatMap((livestream) => livestream.outputs);
    say([`Livestream: ${status}`, ...outputs.map(({ url, status, error }) => `${url} ${[status, error].filter(Boolean).join(": ")}`)].join(", "));
    showOnAir(meeting);
  });
}

function follow(meeting) {
  followOnAir(meeting);
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
    showOnAir(meeting);
    $("call").hidden = true;
    $("lobby").hidden = false;
  });
  // Whoever is recorded or on air must see it; late joiners are told too.
  meeting.on("recording-state-changed", ({ status }) => {
    say(status);
    $("record").ariaPressed = String(status === "RECORDING_STARTED");
  });
  meeting.on("livestream-state-changed", ({ status }) => say(status));
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

/** Into one picture; needs the grant `record`. The file's address comes by webhook and REST. */
function toggleRecording() {
  return meeting.recordingState === "RECORDING_STOPPED" ? meeting.startRecording() : meeting.stopRecording();
}
$("record").addEventListener("click", () => toggleRecording().catch((error) => say(`Error: ${error.message}`)));

const ACTIONS = { mic: "toggleMic", webcam: "toggleWebcam", leave: "leave", end: "end" };
for (const [id, method] of Object.entries(ACTIONS)) {
  $(id).addEventListener("click", () => meeting[method]().catch((error) => say(`Error: ${error.message}`)));
}

/** What takes a while is not to be asked for twice. */
async function once(button, ask) {
  button.disabled = true;
  try {
    await ask();
  } catch (error) {
    say(`Error: ${error.message}`);
  } finally {
    button.disabled = false;
  }
}

$("record").addEventListener("click", () => {
  const isOn = $("record").ariaPressed === "true";
  once($("record"), () => (isOn ? meeting.stopRecording() : meeting.startRecording()));
});

$("on-air").addEventListener("submit", (event) => {
  event.preventDefault();
  const isOn = $("live").ariaPressed === "true";
  const output = { url: $("rtmp-url").value, streamKey: $("stream-key").value };
  once($("live"), () => (isOn ? meeting.stopLivestream() : meeting.startLivestream([output])));
});
