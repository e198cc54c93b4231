/** The invite link: asked of the server once it is wanted, since it carries a token of its own. */

import { inviteLink } from "./console.js";
import { byId } from "./dom.js";
import { formatTime, t } from "./i18n.js";
import { toast } from "./toasts.js";

/** When the token in a link expires, if it says so. @param {string} url @returns {Date | null} */
export function expiryOf(url) {
  try {
    const token = new URLSearchParams(new URL(url).hash.slice(1)).get("token") ?? "";
    const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    return exp ? new Date(exp * 1000) : null;
  } catch {
    return null;
  }
}

export class Invite {
  #roomId;
  /** @type {Promise<string> | null} */
  #link = null;

  /** @param {string} roomId */
  constructor(roomId) {
    this.#roomId = roomId;
    byId("invite-copy").addEventListener("click", () => this.copy());
    byId("invite-link").addEventListener("focus", (event) => event.target.select());
  }

  async show() {
    const link = await this.#get();
    if (!link) return;
    byId("invite-link").value = link;
    const expires = expiryOf(link);
    byId("invite-expires").textContent = expires ? t("invite.expires", { time: formatTime(expires) }) : "";
    byId("invite").showModal();
  }

  /** Copies it without a question; where the browser refuses, shows it to be copied by hand. */
  async copy() {
    const link = await this.#get();
    if (!link) return;
    try {
      await navigator.clipboard.writeText(link);
      byId("invite").close();
      toast(t("invite.copied"));
    } catch {
      if (!byId("invite").open) await this.show();
      byId("invite-link").select();
      toast(t("invite.notCopied"));
    }
  }

  async #get() {
    this.#link ??= inviteLink(this.#roomId).then(({ url }) => url);
    try {
      return await this.#link;
    } catch (error) {
      this.#link = null;
      toast(t("invite.failed", { reason: error.message }), { bad: true });
      return null;
    }
  }
}
