/** What a person may want to know of a stream, from the browser's statistics. */

/**
 * @typedef {object} StreamStats
 * @property {string} [codec]
 * @property {number} bitrate kilobits per second since the last call, 0 at the first
 * @property {number} [rtt] milliseconds
 * @property {number} [jitter] milliseconds
 * @property {number} totalPackets
 * @property {number} packetsLost
 * @property {{width?: number, height?: number, framerate?: number}} size
 * @property {string} [limitation] why the encoder is held back: "bandwidth", "cpu" or "none"
 */

// By sender or receiver: bytes and time at the last call. Weak, so that an ended stream is forgotten.
const last = new WeakMap();

/**
 * @param {RTCRtpSender | RTCRtpReceiver | null | undefined} end
 * @returns {Promise<StreamStats[]>} one for each layer or received stream
 */
export async function streamStats(end) {
  if (!end) return [];
  const report = await end.getStats();
  const reports = [...report.values()];
  const rtps = reports.filter((each) => each.type === "outbound-rtp" || each.type === "inbound-rtp");
  const pair = reports.find((each) => each.type === "candidate-pair" && each.nominated);
  const before = last.get(end) ?? new Map();
  const now = new Map();
  const result = rtps.map((rtp) => {
    const bytes = rtp.bytesSent ?? rtp.bytesReceived ?? 0;
    now.set(rtp.id, { bytes, at: rtp.timestamp });
    const since = before.get(rtp.id);
    const seconds = since ? (rtp.timestamp - since.at) / 1000 : 0;
    const remote = rtp.remoteId ? report.get(rtp.remoteId) : undefined;
    const rtt = remote?.roundTripTime ?? pair?.currentRoundTripTime;
    const jitter = rtp.jitter ?? remote?.jitter;
    return {
      codec: report.get(rtp.codecId)?.mimeType?.split("/")[1],
      bitrate: seconds > 0 ? Math.round(((bytes - since.bytes) * 8) / seconds / 1000) : 0,
      rtt: rtt === undefined ? undefined : Math.round(rtt * 1000),
      jitter: jitter === undefined ? undefined : Math.round(jitter * 1000),
      totalPackets: rtp.packetsSent ?? rtp.packetsReceived ?? 0,
      packetsLost: rtp.packetsLost ?? remote?.packetsLost ?? 0,
      size: { width: rtp.frameWidth, height: rtp.frameHeight, framerate: rtp.framesPerSecond },
      limitation: rtp.qualityLimitationReason,
    };
  });
  last.set(end, now);
  return result;
}
