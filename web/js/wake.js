// The page is back: seen again, thawed after the phone slept, taken out of the browser's cache, connected again. What it
// showed before may be wrong by now.

/**
 * Calls back each time, until `signal` aborts.
 * @param {(cached: boolean) => void} listener `cached`: another page was shown meanwhile, and nothing could be heard
 * @param {AbortSignal} [signal]
 */
export function onWake(listener, signal) {
  const options = { signal };
  addEventListener('pageshow', (event) => listener(event.persisted), options);
  addEventListener('online', () => listener(false), options);
  document.addEventListener('resume', () => listener(false), options);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') listener(false);
  }, options);
}

let left = false;
globalThis.addEventListener?.('pagehide', () => (left = true));
globalThis.addEventListener?.('pageshow', () => (left = false));

/** Whether this page is the one that is shown: neither out of sight nor left for another one. */
export const isSeen = () => !left && document.visibilityState === 'visible';

/** Calls back when the page is left, until `signal` aborts. The browser may keep it, to be shown again. */
export const onLeave = (listener, signal) => globalThis.addEventListener?.('pagehide', () => listener(), { signal });
