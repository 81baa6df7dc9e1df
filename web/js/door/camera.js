// Reads codes with the camera, where the browser has a detector of its own.

const EVERY_MS = 120;
/** A code that stays in sight is one scan. */
const OUT_OF_SIGHT_MS = 2_000;

export const canRead = () => 'BarcodeDetector' in window && Boolean(navigator.mediaDevices?.getUserMedia);

/** Shows the camera in `video` and gives each code that comes into sight to `found`. Returns a function that ends it. */
export async function watch(video, found) {
  const detector = new (/** @type {any} */ (window).BarcodeDetector)({ formats: ['qr_code'] });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  video.srcObject = stream;
  await video.play();
  const seen = new Map();
  let timer = null;
  let on = true;
  async function look() {
    const codes = await detector.detect(video).catch(() => []);
    const now = Date.now();
    for (const { rawValue } of codes) {
      const last = seen.get(rawValue) ?? 0;
      seen.set(rawValue, now);
      if (now - last > OUT_OF_SIGHT_MS) found(rawValue);
    }
    if (on) timer = setTimeout(look, EVERY_MS);
  }
  look();
  return () => {
    on = false;
    clearTimeout(timer);
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  };
}
