/**
 * A cache: json values, a life, a limit in bytes, a callback for what leaves.
 *
 *   node examples/cache.mjs
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes, Quire } from 'quire';

const quire = await Quire.open({ budget: '32MiB' });
const left = { evict: 0, expire: 0, set: 0, delete: 0, clear: 0 };
const sessions = quire.map({
  name: 'sessions',
  value: 'json',
  ttlMs: 60_000,
  maxBytes: '1MiB',
  dispose: (_value, _key, reason) => {
    left[reason]++;
  },
});

// As a Map, but with values in shared memory: what `get` returns is a copy.
sessions.set('ada', { visits: 1, pages: ['/', '/engine'] });
sessions.set('ada', { visits: 2, pages: ['/', '/engine', '/notes'] });
assert.deepEqual(sessions.get('ada'), { visits: 2, pages: ['/', '/engine', '/notes'] });
assert.equal(sessions.get('nobody'), undefined);
console.log('ada', sessions.get('ada'));

// A life of its own, shorter than the map's.
sessions.set('one-time code', 421_337, { ttlMs: 20 });
assert.equal(sessions.get('one-time code'), 421_337);
await sleep(40);
assert.equal(sessions.get('one-time code'), undefined);
console.log('the code has expired');

// Far more than maxBytes: what was read again stays, what was only written goes.
for (let i = 0; i < 20_000; i++) {
  sessions.set(`visitor ${i}`, { visits: 1, agent: `agent ${i % 13}`, pages: [`/page/${i}`] });
  if (i % 100 === 0) sessions.get('ada');
}
assert.ok(sessions.bytes <= 1024 * 1024);
assert.equal(sessions.get('ada').visits, 2);
console.log(`${sessions.size} sessions in ${formatBytes(sessions.bytes)}`);
console.log('left, by reason:', left);
assert.equal(left.evict, 20_001 - sessions.size);
assert.equal(left.set, 1);
assert.equal(left.expire, 1);

sessions.close();
await quire.close();
