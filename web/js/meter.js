/** How loud a microphone is, for a bar on the page. */

const LOUD = 0.25; // RMS at which the bar is full: clear speech near the microphone

/**
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} onLevel 0 to 1, at each frame shown
 * @returns {() => void} stops it
 */
export function watchLevel(track, onLevel) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  // Browsers start sound only after a gesture; the first one anywhere will do.
  const resume = () => context.resume();
  document.addEventListener("pointerdown", resume);
  document.addEventListener("keydown", resume);
  let frame = 0;
  const step = () => {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    onLevel(Math.min(1, Math.sqrt(power) / LOUD));
    frame = requestAnimationFrame(step);
  };
  step();
  return () => {
    cancelAnimationFrame(frame);
    document.removeEventListener("pointerdown", resume);
    document.removeEventListener("keydown", resume);
    context.close();
    onLevel(0);
  };
}
