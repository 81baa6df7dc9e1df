// One sound for each answer, so that nobody has to look.

/** Tones of a sound: frequency in Hz, begin and length in seconds. */
const SOUNDS = {
  admitted: [[784, 0, 0.12], [1175, 0.12, 0.2]],
  used: [[330, 0, 0.16], [330, 0.22, 0.16], [330, 0.44, 0.16]],
  invalid: [[196, 0, 0.6]],
  away: [[523, 0, 0.15], [440, 0.18, 0.15]],
};

let audio = null;

/** Browsers let a page sound once it has been touched. */
export function unlock() {
  if (!navigator.userActivation?.hasBeenActive) return;
  audio ??= new AudioContext();
  audio.resume().catch(() => {});
}

export function play(name) {
  if (!audio) return;
  navigator.vibrate?.(name === 'admitted' ? 60 : [120, 60, 120]);
  for (const [frequency, begin, length] of SOUNDS[name] ?? SOUNDS.invalid) {
    const at = audio.currentTime + begin;
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = 'triangle';
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0.3, at);
    volume.gain.exponentialRampToValueAtTime(0.001, at + length);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + length + 0.02);
  }
}
