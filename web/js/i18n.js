// Texts in three languages, and numbers, amounts and times as they are written there.

const LANGUAGES = { en: 'English', ko: '한국어', ja: '日本語' };

let language = 'en';
let texts = {};
let english = {};
let rules = new Intl.PluralRules('en');
let currencyCode = null;
/** What was remembered when this page began to speak. */
let chosen = null;

export const languages = LANGUAGES;
export const current = () => language;

/** `?lang=`, else what was chosen before, else what the browser prefers. */
function wanted() {
  const stored = remembered();
  const asked = new URLSearchParams(location.search).get('lang');
  const list = [asked, stored, ...(navigator.languages ?? [])];
  return list.map((tag) => tag?.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? 'en';
}

function remembered() {
  try {
    return localStorage.getItem('ts.language');
  } catch {
    return null;
  }
}

/** Whether another page has changed what was chosen. */
export const chosenElsewhere = () => remembered() !== chosen;

async function load(tag) {
  const answer = await fetch(`/web/i18n/${tag}.json`);
  return answer.json();
}

/** Loads the texts. `choice`: a language the user picked, remembered. */
export async function speak(choice) {
  if (choice) {
    try {
      localStorage.setItem('ts.language', choice);
    } catch {
      // Without storage it holds for this page.
    }
  }
  chosen = remembered();
  language = choice ?? wanted();
  [texts, english] = await Promise.all([load(language), language === 'en' ? {} : load('en')]);
  rules = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** The text of a key with its `{parts}` filled in. */
export function t(key, parts = {}) {
  const text = texts[key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in parts ? apart(String(parts[name])) : whole));
}

/** A name that is written from right to left turns nothing around it. */
const apart = (part) => (/[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/.test(part) && !part.startsWith('\u2068') ? `\u2068${part}\u2069` : part);

export const has = (key) => key in texts || key in english;

/** `key.one` or `key.other`, by `count`, which is also the part `{count}`. */
export function plural(key, count, parts = {}) {
  const form = `${key}.${rules.select(count)}`;
  return t(has(form) ? form : `${key}.other`, { count: number(count), ...parts });
}

export function useCurrency(code) {
  currencyCode = code ?? null;
}

/** To make a formatter costs more than a hundred uses of it. */
const formats = new Map();

function format(Kind, options = {}) {
  const key = Kind.name + language + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Kind(language, options));
  return formats.get(key);
}

const numberFormat = (options) => format(Intl.NumberFormat, options);
const formatted = (options, ms) => format(Intl.DateTimeFormat, options).format(ms);

export const number = (value) => numberFormat().format(value);

/** An amount in the smallest unit of its currency. */
export function money(amount, code = currencyCode) {
  if (amount === 0) return t('price.free');
  return sum(amount, code);
}

/** The same, where 0 is a sum and not a price. */
export function sum(amount, code = currencyCode) {
  if (!code) return number(amount);
  const own = numberFormat({ style: 'currency', currency: code });
  const digits = own.resolvedOptions().maximumFractionDigits;
  return own.format(amount / 10 ** digits);
}

/** The zone of a venue; its name only where the reader's clocks show another time. */
function at(zone, ms) {
  if (!zone) return {};
  const there = { timeZone: zone };
  const clocks = [there, {}].map((own) => formatted({ dateStyle: 'short', timeStyle: 'short', ...own }, ms));
  return clocks[0] === clocks[1] ? there : { ...there, timeZoneName: 'short' };
}

/** `20:00:27` */
export const clockTime = (ms, zone) =>
  formatted({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', ...(zone && { timeZone: zone }) }, ms);

/** `20:03`; of another day than that of `now`, with its date. */
export const since = (ms, now) => {
  const day = (at) => formatted({ dateStyle: 'short' }, at);
  return day(ms) === day(now) ? formatted({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }, ms) : dayAndTime(ms);
};

/** `20:00:27.072`, as the log has it. */
export const exactTime = (ms) => `${clockTime(ms)}.${String(Math.floor(ms) % 1000).padStart(3, '0')}`;

/** `Saturday, November 21, 2026 at 7:00 PM` */
export const longDate = (ms, zone) =>
  formatted({ weekday: 'long', year: 'numeric', month: 'long', day: 'numeric', hour: 'numeric', minute: '2-digit', ...at(zone, ms) }, ms);

export const dayAndTime = (ms, zone) =>
  formatted({ weekday: 'short', month: 'short', day: 'numeric', hour: 'numeric', minute: '2-digit', ...at(zone, ms) }, ms);

/** Parts of a date for its tile: month, day, weekday. */
export const dateTile = (ms, zone) => ({
  month: formatted({ month: 'short', ...(zone && { timeZone: zone }) }, ms),
  day: formatted({ day: 'numeric', ...(zone && { timeZone: zone }) }, ms),
  weekday: formatted({ weekday: 'short', ...(zone && { timeZone: zone }) }, ms),
});

/** `4:58`, `1:12:05` from an hour on, days from two days on. */
export function duration(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const days = Math.floor(seconds / 86_400);
  if (days >= 2) return numberFormat({ style: 'unit', unit: 'day', unitDisplay: 'long' }).format(days);
  const two = (value) => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
