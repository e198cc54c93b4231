/** How much a video may cost: sizes, bitrates and simulcast layers. Pure tables and arithmetic. */

/** What `maxResolution` and `setWebcamQuality` ask of a camera. */
export const RESOLUTIONS = Object.freeze({
  hd: { width: 1280, height: 720, frameRate: 30 },
  sd: { width: 640, height: 480, frameRate: 30 },
  high: { width: 1280, height: 720, frameRate: 30 },
  med: { width: 640, height: 480, frameRate: 30 },
  low: { width: 320, height: 240, frameRate: 20 },
});

// Bits per second at 30 frames a second by height: the middle column of the reference's table, where it has one.
const BITRATES = [
  [180, 200_000],
  [240, 300_000],
  [360, 600_000],
  [480, 900_000],
  [540, 1_100_000],
  [720, 1_700_000],
  [1080, 2_500_000],
  [1440, 5_000_000],
  [2160, 8_500_000],
];
const SCREEN_MAX_BITRATE = 3_000_000; // text at 1080p stays sharp while it scrolls
const SCREEN_MAX_FRAMERATE = 30;

/** @param {number} height @returns {number} bits per second */
export function videoBitrate(height) {
  for (const [limit, bitrate] of BITRATES) if (height <= limit) return bitrate;
  return BITRATES[BITRATES.length - 1][1];
}

/**
 * The `sendEncodings` of a camera. Simulcast has three layers, a quarter, a half and the full size; layers that would
 * be less than 90 lines high are left out, the full one always stays.
 * @param {{width?: number, height?: number}} settings of the track
 * @param {boolean} simulcast
 * @returns {RTCRtpEncodingParameters[]}
 */
export function webcamEncodings({ width = 640, height = 480 }, simulcast) {
  const lines = Math.min(width, height);
  if (!simulcast) return [{ maxBitrate: videoBitrate(lines) }];
  return [
    { rid: "q", scaleResolutionDownBy: 4 },
    { rid: "h", scaleResolutionDownBy: 2 },
    { rid: "f", scaleResolutionDownBy: 1 },
  ]
    .filter(({ scaleResolutionDownBy: by }) => by === 1 || lines / by >= 90)
    .map((layer) => ({ ...layer, maxBitrate: videoBitrate(Math.round(lines / layer.scaleResolutionDownBy)) }));
}

/** @returns {RTCRtpEncodingParameters[]} */
export function screenEncodings() {
  return [{ maxBitrate: SCREEN_MAX_BITRATE, maxFramerate: SCREEN_MAX_FRAMERATE }];
}
