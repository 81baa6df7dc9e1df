// Web Locks, where the browser has them: who refuses storage to pages has none. Then each tab is alone.

let usable = 'locks' in navigator;

/** Runs `run(lock)` under the lock of this name; the lock is null where `options.ifAvailable` finds it taken. */
export async function locked(name, options, run) {
  if (!usable) return run(true);
  let began = false;
  try {
    return await navigator.locks.request(name, options, (lock) => {
      began = true;
      return run(lock);
    });
  } catch (error) {
    if (began || error.name !== 'SecurityError') throw error;
    usable = false;
    return run(true);
  }
}
