/** What this browser remembers: name, devices, the rooms it was in; for one tab, an invited guest's token. */

const KEY = "tidegate";
const RECENT_MOST = 5;

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}");
  } catch {
    return {}; // storage may be switched off; a page without memory still works
  }
}

function write(changes) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...read(), ...changes }));
  } catch {
    // as above
  }
}

/** @returns {{name?: string, camera?: string, microphone?: string, speaker?: string, micOn?: boolean, camOn?: boolean}} */
export const preferences = () => read().preferences ?? {};
export const prefer = (changes) => write({ preferences: { ...preferences(), ...changes } });

/** @returns {{roomId: string, at: number}[]} newest first */
export const recentRooms = () => read().recent ?? [];
export const forgetRooms = () => write({ recent: [] });
export function rememberRoom(roomId) {
  const others = recentRooms().filter((room) => room.roomId !== roomId);
  write({ recent: [{ roomId, at: Date.now() }, ...others].slice(0, RECENT_MOST) });
}

/**
 * What an invite link carries behind its `#`: a token, perhaps a name. It is taken out of the address bar, so that
 * nobody reads it off a shared screen or copies it unknowingly, and kept for this tab, so that a reload works.
 * @param {string} roomId
 * @returns {{token: string, name: string | null} | null}
 */
export function invitation(roomId) {
  const key = `${KEY}.invitation.${roomId}`;
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get("token");
  try {
    if (!token) return JSON.parse(sessionStorage.getItem(key) ?? "null");
  } catch {
    return null; // storage is switched off
  }
  const found = { token, name: given.get("name") };
  try {
    sessionStorage.setItem(key, JSON.stringify(found));
  } catch {
    return found; // it stays in the address bar, as there is no other place from which a reload could take it
  }
  history.replaceState(null, "", location.pathname + location.search);
  return found;
}
