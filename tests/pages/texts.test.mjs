// The texts of the three languages against each other and against the modules that ask for them.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';

const web = new URL('../../web/', import.meta.url);
const texts = Object.fromEntries(['en', 'ko', 'ja'].map((tag) => [tag, JSON.parse(readFileSync(new URL(`i18n/${tag}.json`, web), 'utf8'))]));
const sources = readdirSync(new URL('js/', web), { recursive: true }).filter((name) => name.endsWith('.js')).map((name) => readFileSync(new URL(`js/${name}`, web), 'utf8'));

/** Languages have the forms of a plural that they tell apart. */
const stem = (key) => key.replace(/\.(zero|one|two|few|many|other)$/, '');
const isForm = (key) => stem(key) !== key && `${stem(key)}.one` in texts.en;
const base = (key) => (isForm(key) ? stem(key) : key);

test('all languages have the same texts with the same parts', () => {
  const keys = (tag) => [...new Set(Object.keys(texts[tag]).map(base))].sort();
  const parts = (text) => [...new Set(text.match(/\{\w+\}/g))].sort();
  for (const tag of ['ko', 'ja']) {
    assert.deepEqual(keys(tag), keys('en'));
    for (const [key, text] of Object.entries(texts[tag])) {
      const english = texts.en[key] ?? texts.en[`${base(key)}.other`];
      // A plural may leave its number out where the words say it.
      if (!isForm(key)) assert.deepEqual(parts(text), parts(english), `${tag} ${key}`);
      assert.ok(text.trim() === text && text.length > 0, `${tag} ${key}`);
    }
  }
});

test('every form of a plural that a language tells apart is there', () => {
  for (const [tag, own] of Object.entries(texts)) {
    const needed = new Intl.PluralRules(tag).resolvedOptions().pluralCategories;
    for (const key of new Set(Object.keys(own).filter(isForm).map(base))) {
      for (const form of needed) assert.ok(`${key}.${form}` in own, `${tag} ${key}.${form}`);
    }
  }
});

test('no text is written in the letters of another language', () => {
  const { ko, ja, en } = texts;
  for (const [key, text] of Object.entries(en)) assert.doesNotMatch(text, /[\u3040-\u30ff\uac00-\ud7af\u4e00-\u9fff]/, `en ${key}`);
  for (const [key, text] of Object.entries(ko)) assert.doesNotMatch(text, /[\u3040-\u30ff]/, `ko ${key}`);
  for (const [key, text] of Object.entries(ja)) assert.doesNotMatch(text, /[\uac00-\ud7af]/, `ja ${key}`);
});

/** Texts between quotes, and templates as patterns. */
function asked() {
  const [literals, patterns] = [new Set(), []];
  for (const source of sources) {
    for (const [, text] of source.matchAll(/'((?:[^'\\\n]|\\.)*)'/g)) literals.add(text);
    for (const [, text] of source.matchAll(/`((?:[^`\\]|\\.)*)`/g)) {
      if (!text.includes('${')) literals.add(text);
      else if (/^[a-z][\w.]*\.\$\{/i.test(text)) patterns.push(new RegExp(`^${text.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\w.-]+')}$`));
    }
  }
  return { literals, patterns };
}

test('every text is asked for, and every text that is asked for is there', () => {
  const { literals, patterns } = asked();
  const unused = [...new Set(Object.keys(texts.en).map(base))].filter((key) => !literals.has(key) && !patterns.some((pattern) => pattern.test(key)));
  assert.deepEqual(unused, []);
  const known = new Set(Object.keys(texts.en).map(base));
  const missing = [];
  for (const source of sources) for (const [, key] of source.matchAll(/\b(?:t|plural)\('([^']+)'/g)) if (!known.has(key)) missing.push(key);
  assert.deepEqual(missing, []);
});
