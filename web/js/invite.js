/** The invite link: asked of the server once it is wanted, since it carries a token of its own. */

import { inviteLink } from "./console.js";
import { byId } from "./dom.js";
import { formatTime, t } from "./i18n.js";
import { toast } from "./toasts.js";

export class Invite {
  #roomId;
  /** @type {Promise<{url: string, expires?: string}> | null} */
  #asked = null;

  /** @param {string} roomId */
  constructor(roomId) {
    this.#roomId = roomId;
    byId("invite-copy").addEventListener("click", () => this.copy());
    byId("invite-link").addEventListener("focus", (event) => event.target.select());
  }

  async show() {
    const link = await this.#get();
    if (!link) return;
    byId("invite-link").value = link.url;
    byId("invite-expires").textContent = link.expires ? t("invite.expires", { time: formatTime(new Date(link.expires)) }) : "";
    byId("invite").showModal();
  }

  /** Copies it without a question; where the browser refuses, shows it to be copied by hand. */
  async copy() {
    const link = await this.#get();
    if (!link) return;
    try {
      await navigator.clipboard.writeText(link.url);
      byId("invite").close();
      toast(t("invite.copied"));
    } catch {
      if (!byId("invite").open) await this.show();
      byId("invite-link").select();
      toast(t("invite.notCopied"));
    }
  }

  async #get() {
    this.#asked ??= inviteLink(this.#roomId);
    try {
      return await this.#asked;
    } catch (error) {
      this.#asked = null;
      toast(t("invite.failed", { reason: error.message }), { bad: true });
      return null;
    }
  }
}
