/** What is changed in a description before the browser gets it. Pure text. */

/**
 * Lets Chromium's estimate begin at a bitrate instead of its 300 kbit/s, at which it would send a camera small for the
 * first 20 s: its picture grows much more slowly than its estimate. Other browsers ignore the parameter.
 * @param {string} sdp an answer to what this client publishes
 * @param {number} bitsPerSecond
 */
export function withStartBitrate(sdp, bitsPerSecond) {
  const parameter = `x-google-start-bitrate=${Math.round(bitsPerSecond / 1000)}`;
  return sdp
    .split(/(?=^m=)/m)
    .map((section) => (section.startsWith("m=video") ? startSection(section, parameter) : section))
    .join("");
}

function startSection(section, parameter) {
  return section.replace(/^a=rtpmap:(\d+) (\w+)\/90000.*\r\n/gm, (line, payloadType, codec) => {
    if (codec.toLowerCase() === "rtx" || new RegExp(`^a=fmtp:${payloadType} `, "m").test(section)) return line;
    return `${line}a=fmtp:${payloadType} ${parameter}\r\n`;
  }).replace(/^a=fmtp:\d+ (?!apt=)(?!.*x-google-start-bitrate)[^\r]*/gm, (line) => `${line};${parameter}`);
}
