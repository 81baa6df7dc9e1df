// Who is asking. Dev mode: a name, kept in this browser. Login tokens: from `#token=`, kept for this tab's session.

let facts = { auth: 'dev', self_charge: true };
let user = null;
let token = null;
/** Of the token; in dev mode those that a page asked for. */
let roles = new Set();
const listeners = new Set();

/** `store()`: to name it is refused already where a browser keeps nothing. */
const stored = (store, key) => {
  try {
    return store().getItem(key);
  } catch {
    return null;
  }
};

const keep = (store, key, value) => {
  try {
    if (value === null) store().removeItem(key);
    else store().setItem(key, value);
  } catch {
    // Private windows may have no storage: then it holds for this page.
  }
};

/** The token's claims, unchecked: the server checks; the page only shows a name. */
function claims(jwt) {
  try {
    const bytes = Uint8Array.from(atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The claim of exactly this name, else the path that its dots make. */
const claim = (own, name) => own[name] ?? name.split('.').reduce((value, part) => value?.[part], own);

function rolesOf(value) {
  if (Array.isArray(value)) return value.filter((each) => typeof each === 'string');
  return typeof value === 'string' ? value.split(' ').filter(Boolean) : [];
}

/** Reads what the server says of itself, and the login. */
export async function begin() {
  const answer = await fetch('/web/facts.json');
  if (answer.ok) facts = await answer.json();
  if (facts.auth === 'jwt') {
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    if (given) {
      keep(() => sessionStorage, 'ts.token', given);
      history.replaceState(history.state, '', location.pathname + location.search);
    }
    token = given ?? stored(() => sessionStorage, 'ts.token');
    const own = token ? claims(token) : {};
    user = token ? String(claim(own, facts.claims?.user ?? 'sub') ?? '') : null;
    roles = new Set(rolesOf(claim(own, facts.claims?.roles ?? 'roles')));
  } else {
    user = stored(() => localStorage, 'ts.user');
  }
}

export const known = () => facts;
export const name = () => user;
export const isAdmin = () => (facts.auth === 'dev' ? user === 'admin' : roles.has(facts.claims?.admin ?? 'admin'));
/** What the page may offer; what may be done the server decides. */
export const has = (role) => isAdmin() || roles.has(role);

/** Dev mode believes every name, and every role with it. */
export function assume(role) {
  if (facts.auth === 'dev' && user) roles.add(role);
}

/** Headers that say who asks. */
export function credentials() {
  if (facts.auth === 'jwt') return token ? { Authorization: `Bearer ${token}` } : {};
  if (!user) return {};
  return { 'X-User-Id': headerText(user), ...(roles.size && { 'X-User-Roles': [...roles].join(' ') }) };
}

/** A header carries bytes: fetch takes Latin-1 only, so a name's UTF-8 bytes are given one by one. */
const headerText = (text) => String.fromCharCode(...new TextEncoder().encode(text));

export function become(newName) {
  const before = user;
  user = newName;
  keep(() => localStorage, 'ts.user', newName);
  for (const listener of listeners) listener(user, before);
}

/** The token is no longer good: back to the login, then here again. */
export function expired() {
  if (facts.auth !== 'jwt') return;
  const before = user;
  token = null;
  user = null;
  roles = new Set();
  keep(() => sessionStorage, 'ts.token', null);
  for (const listener of listeners) listener(user, before);
}

/** Whether another page of this tab or browser has changed who asks. */
export function changedElsewhere() {
  const now = facts.auth === 'jwt' ? stored(() => sessionStorage, 'ts.token') : stored(() => localStorage, 'ts.user');
  return now !== null && now !== (facts.auth === 'jwt' ? token : user);
}

export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Where a login is to be had, or null. */
export function loginAddress() {
  if (facts.auth !== 'jwt' || !facts.login_url) return null;
  const back = encodeURIComponent(location.origin + location.pathname + location.search);
  return `${facts.login_url}${facts.login_url.includes('?') ? '&' : '?'}return=${back}`;
}
