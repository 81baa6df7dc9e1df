import assert from 'node:assert/strict';
import test from 'node:test';
import { isOlder } from '../../web/js/seats_feed.js';
import { parser } from '../../web/js/share.js';

const TEXT = 'event: snapshot\nid: 3:20\nretry: 500\ndata: {"A":"AH"}\n\n: alive\n\nevent: seats\nid: 3:20-21\ndata: {"A":\ndata: {"H":[1]}}\n\ndata: {"x":"한국어 – 日本語"}\n\n';

test('a stream is the same in whatever pieces it comes', () => {
  for (let cut = 1; cut <= TEXT.length; cut += 1) {
    const heard = [];
    const parse = parser((event) => heard.push(event), () => heard.push('beat'));
    for (let at = 0; at < TEXT.length; at += cut) parse(TEXT.slice(at, at + cut));
    assert.deepEqual(heard, [
      { name: 'snapshot', id: '3:20', data: { A: 'AH' } }, 'beat',
      { name: 'seats', id: '3:20-21', data: { A: { H: [1] } } },
      { name: 'message', id: null, data: { x: '한국어 – 日本語' } },
    ], `pieces of ${cut}`);
  }
});

test('an answer that events have overtaken is older', () => {
  for (const [id, than, older] of [
    [null, null, false], ['3:20', null, false], ['3:20', '3:20', false], ['3:19', '3:20', true], ['3:21', '3:20', false],
    ['3:20', '3:12-20', false], ['3:12-20', '3:20', true], ['3:12-19', '3:20', true], ['3:12-21', '3:20', false],
    ['3:20,5:7', '3:20,5:8', true], ['3:20,5:8', '3:19,5:8', false], ['5:1', '3:20', false],
  ]) assert.equal(isOlder(id, than), older, `${id} than ${than}`);
});
