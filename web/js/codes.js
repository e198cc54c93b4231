/** Reading what people type or paste into "join". Pure. */

const ROOM = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

/**
 * @param {string} typed a meeting code or a whole invite link
 * @param {string} origin of this server
 * @returns {string | null} the path to open on this server, token included; null when it is neither
 */
export function meetingPath(typed, origin) {
  const text = typed.trim();
  if (ROOM.test(text)) return `/meeting/${text}`;
  let url;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  const [, room] = /^\/meeting\/([^/]+)\/?$/.exec(url.pathname) ?? [];
  if (url.origin !== origin || !room) return null;
  return `/meeting/${room}${url.hash}`;
}

/**
 * The room that the address of a meeting page names.
 * @param {string} pathname
 */
export function roomOf(pathname) {
  const named = pathname.split("/")[2] ?? "";
  try {
    return decodeURIComponent(named);
  } catch {
    return named; // no UTF-8: a room that does not exist, which the server will say in words
  }
}

/**
 * Where to go after signing in: a meeting here, and nowhere else.
 * @param {string | null} next
 */
export function safeNext(next) {
  return next && /^\/meeting\/[^/\\?#]+$/.test(next) ? next : null;
}

/**
 * Letters and a hue for somebody without a picture.
 * @param {string} name
 */
export function faceOf(name) {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : ""].map((word) => [...(word ?? "")][0] ?? "");
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + /** @type {number} */ (letter.codePointAt(0))) % 360;
  return { initials: letters.join("").toUpperCase() || "?", hue };
}
