/** Menus of devices: `<select data-device="audioinput|videoinput|audiooutput">`, kept true as devices come and go. */

import { VideoSDK } from "/sdk/tidegate.js";
import { make } from "./dom.js";
import { t } from "./i18n.js";

export const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;

/**
 * @param {HTMLSelectElement} select
 * @param {MediaDeviceInfo[]} devices all there are
 * @param {string | undefined} chosen device id
 */
function fill(select, devices, chosen) {
  const kind = /** @type {string} */ (select.dataset.device);
  const own = devices.filter((device) => device.kind === kind && device.deviceId !== "");
  const options = own.map((device, index) =>
    make("option", { value: device.deviceId }, device.label || t(`pre.unnamed.${kind}`, { n: index + 1 })),
  );
  if (kind === "audiooutput" && !own.some(({ deviceId }) => deviceId === "default")) {
    options.unshift(make("option", { value: "" }, t("pre.systemDefault")));
  }
  // Before permission, devices have neither ids nor names: one entry stands for whatever the browser will give.
  const some = devices.some((device) => device.kind === kind);
  if (!options.length) options.push(make("option", { value: "" }, t(some ? "pre.systemDefault" : "pre.noDevice")));
  select.replaceChildren(...options);
  select.disabled = options.length === 1 && options[0].value === "";
  if (chosen && own.some(({ deviceId }) => deviceId === chosen)) select.value = chosen;
}

/**
 * @param {ParentNode} root
 * @param {Record<string, string | undefined>} chosen device ids by kind
 */
export async function fillMenus(root, chosen) {
  const devices = await VideoSDK.getDevices().catch(() => []);
  for (const select of root.querySelectorAll("select[data-device]")) {
    fill(select, devices, chosen[select.dataset.device]);
    if (select.dataset.device === "audiooutput") {
      select.hidden = !canChooseSpeaker;
      root.querySelector(`label[for="${select.id}"]`).hidden = !canChooseSpeaker;
    }
  }
}
