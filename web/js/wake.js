// The page is back: seen again, thawed after the phone slept, taken out of the browser's cache, connected again. What it
// showed before may be wrong by now.

/** Calls back each time, until `signal` aborts. */
export function onWake(listener, signal) {
  const options = { signal };
  for (const event of ['pageshow', 'online']) addEventListener(event, () => listener(), options);
  document.addEventListener('resume', () => listener(), options);
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') listener();
  }, options);
}
