/** The stage: which tiles there are, which is large, where each stands. Geometry is in tiles.js. */

import { make } from "./dom.js";
import { t } from "./i18n.js";
import { Tile, putAt } from "./tile.js";
import { layoutFocus, layoutGrid } from "./tiles.js";

export class Stage {
  #element;
  #meeting;
  #onError;
  /** In the order they stand. @type {Map<string, Tile>} */
  #tiles = new Map();
  /** Key of the tile somebody made large; "" where they want the grid although a screen is shared. */
  #enlarged = null;
  #presenter = null;
  /** Participants whose signalling dropped. @type {Set<string>} */
  #away = new Set();
  #rest = make("div", { class: "tile rest", role: "note" });

  /**
   * @param {HTMLElement} element
   * @param {any} meeting
   * @param {(error: any) => void} onError
   */
  constructor(element, meeting, onError) {
    this.#onError = onError;
    this.#element = element;
    this.#meeting = meeting;
    new ResizeObserver(() => this.#layout()).observe(element);
  }

  /** @param {string} id @param {boolean} away */
  setAway(id, away) {
    away ? this.#away.add(id) : this.#away.delete(id);
    this.update();
  }

  forgetAway() {
    this.#away.clear();
    this.update();
  }

  /** Makes the stage show who and what there is. */
  update() {
    const wanted = new Map();
    const everybody = [...this.#meeting.participants.values(), this.#meeting.localParticipant];
    for (const participant of everybody) if (participant.screenShareOn) wanted.set(`${participant.id}:share`, [participant, "share"]);
    for (const participant of everybody) wanted.set(`${participant.id}:video`, [participant, "video"]);
    for (const [key, tile] of this.#tiles) {
      if (wanted.get(key)?.[0] === tile.participant) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    const ordered = new Map();
    for (const [key, [participant, kind]] of wanted) {
      ordered.set(key, this.#tiles.get(key) ?? new Tile(participant, kind, () => this.#enlarge(key), () => this.#pin(key)));
    }
    this.#tiles = ordered;
    if (this.#enlarged && !ordered.has(this.#enlarged)) this.#enlarged = null;
    const presenter = this.#meeting.activePresenterId;
    if (presenter !== this.#presenter && this.#enlarged === "") this.#enlarged = null; // that was about another screen
    this.#presenter = presenter;
    // Moved only where the order is wrong: a video that is moved in the page starts anew.
    let before = null;
    for (const { element } of [...ordered.values()].reverse()) {
      if (element.parentNode !== this.#element || element.nextElementSibling !== before) this.#element.insertBefore(element, before);
      before = element;
    }
    const large = this.#largeKey();
    for (const [key, tile] of ordered) {
      const { id } = tile.participant;
      tile.update({
        enlarged: key === this.#enlarged || (key === large && tile.kind === "share"),
        away: this.#away.has(id),
        isSpeaker: tile.kind === "video" && id === this.#meeting.activeSpeakerId,
        canPin: Boolean(this.#meeting.grants.moderate),
      });
    }
    this.#layout();
  }

  /** @param {(participant: any) => boolean} speaks */
  showSpeaking(speaks) {
    for (const tile of this.#tiles.values()) if (tile.kind === "video") tile.setSpeaking(speaks(tile.participant));
  }

  #pin(key) {
    const tile = this.#tiles.get(key);
    if (!tile) return;
    const type = tile.kind === "share" ? "SHARE" : "CAM";
    (tile.pinned ? tile.participant.unpin(type) : tile.participant.pin(type)).catch(this.#onError);
  }

  #enlarge(key) {
    if (this.#enlarged === key || this.#largeKey() === key) this.#enlarged = key.endsWith(":share") ? "" : null;
    else this.#enlarged = key;
    this.update();
  }

  #largeKey() {
    if (this.#enlarged !== null) return this.#enlarged || null;
    const presenter = this.#meeting.activePresenterId;
    // One's own screen is not shown large to oneself: it would show itself.
    if (!presenter || presenter === this.#meeting.localParticipant.id) return null;
    return this.#tiles.has(`${presenter}:share`) ? `${presenter}:share` : null;
  }

  #layout() {
    const { clientWidth: width, clientHeight: height } = this.#element;
    const large = this.#largeKey();
    const others = [...this.#tiles.entries()].filter(([key]) => key !== large).map(([, tile]) => tile);
    const gap = width < 600 ? 8 : 12;
    let placed;
    if (large) {
      const { main, ...strip } = layoutFocus(others.length, width, height, gap);
      this.#tiles.get(large)?.place(main);
      placed = strip;
    } else {
      placed = layoutGrid(others.length, width, height, gap);
    }
    const { rects, hidden } = placed;
    const shown = hidden ? rects.length - 1 : rects.length;
    others.forEach((tile, index) => tile.place(index < shown ? rects[index] : null));
    this.#showRest(hidden, rects[rects.length - 1]);
  }

  #showRest(hidden, rect) {
    this.#rest.remove();
    if (!hidden) return;
    this.#rest.textContent = t("call.more", { n: hidden });
    this.#element.append(this.#rest);
    putAt(this.#rest, rect);
  }
}
