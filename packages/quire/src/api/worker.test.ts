/** An instance shared with real worker threads: handle posted, regions and maps found by name, closing from either side. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makePage } from '../testing/page-data.ts';
import { Quire } from './quire.ts';
import { startClient } from './testing/client.ts';

const MIB = 2 ** 20;

const hasCode = (code: string) => (error: unknown) => (error as { code?: string }).code === code;

describe('workers attached by a posted handle', () => {
  for (const threads of [0, 1]) {
    it(`share a named region, with ${threads} daemons, at more than the memory`, async () => {
      const quire = await Quire.open({ budget: '16MiB', threads });
      const region = quire.region({ size: 64 * MIB, name: 'shared' });
      const pages = 6000;
      for (let page = 0; page < pages; page += 2) region.write(page * 4096, makePage(page, 'text'));
      await using first = await startClient(quire.handle);
      await using second = await startClient(quire.handle);
      const clients = [first, second];
      const body = (first: number, step: number): string => `
        const region = state.region ??= quire.region({ size: ${64 * MIB}, name: 'shared' });
        for (let page = ${first}; page < ${pages}; page += ${step}) region.write(page * 4096, makePage(page, 'text'));
        const got = new Uint8Array(4096);
        let wrong = 0;
        for (let page = 0; page < ${pages}; page += 2) {
          region.read(page * 4096, got);
          if (Buffer.compare(got, makePage(page, 'text')) !== 0) wrong++;
        }
        return wrong;`;
      assert.deepEqual(await Promise.all([clients[0].run(body(1, 4)), clients[1].run(body(3, 4))]), [0, 0]);
      const got = new Uint8Array(4096);
      for (let page = 0; page < pages; page++) {
        region.read(page * 4096, got);
        assert.equal(Buffer.compare(got, makePage(page, 'text')), 0, `page ${page}`);
      }
      assert.equal(quire.stats().threads, 3 + threads);
      for (const client of clients) {
        await client.run('await quire.close()');
        await client.end();
      }
      assert.equal(quire.stats().threads, 1 + threads);
      await quire.close();
    });
  }

  it('share a named map', async () => {
    const quire = await Quire.open({ budget: '16MiB', threads: 0 });
    const map = quire.map<string, string>({ name: 'm', value: 'utf8' });
    map.set('from', 'owner');
    await using client = await startClient(quire.handle);
    const seen = await client.run(`
      const map = state.map = quire.map({ name: 'm', value: 'utf8' });
      const seen = map.get('from');
      for (let i = 0; i < 2000; i++) map.set('key' + i, 'value ' + i);
      map.delete('from');
      return seen;`);
    assert.equal(seen, 'owner');
    assert.equal(map.size, 2000);
    assert.equal(map.get('key1234'), 'value 1234');
    assert.equal(map.get('from'), undefined);
    assert.ok(map.isValid());
    // The map lives while anybody has it open.
    map.close();
    assert.equal(await client.run(`return state.map.get('key7')`), 'value 7');
    await client.run('await quire.close()');
    await client.end();
    await quire.close();
  });

  it('get ERR_QUIRE_CLOSED once the owner has closed, for each call', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 0 });
    await using client = await startClient(quire.handle);
    await client.run(`
      state.region = quire.region({ size: ${MIB}, name: 'r' });
      state.map = quire.map({ name: 'm', value: 'utf8' });
      state.map.set('a', 'b');
      state.pin = state.region.pin(0, 10);`);
    await quire.close();
    const calls = [
      'quire.stats()',
      'quire.handle',
      `quire.region({ size: ${MIB} })`,
      'quire.map()',
      'quire.poll()',
      'Quire.attach(handle)',
      'state.region.read(0, new Uint8Array(4))',
      'state.region.write(0, new Uint8Array(4))',
      'state.region.fill(0, 1)',
      'state.region.discard(0, 1)',
      'state.region.pin(0, 1)',
      'await state.region.readAsync(0, new Uint8Array(4))',
      'await state.region.writeAsync(0, new Uint8Array(4))',
      `state.map.get('a')`,
      `state.map.set('a', 'c')`,
      `state.map.has('a')`,
      `state.map.delete('a')`,
      '[...state.map]',
    ];
    for (const call of calls) {
      await assert.rejects(
        client.run(`return ${call.startsWith('await') ? `(${call})` : call}`),
        hasCode('ERR_QUIRE_CLOSED'),
        call,
      );
    }
    await client.run(
      'state.pin.release(); state.region.close(); state.map.close(); await quire.close(); await quire.close();',
    );
    await client.end();
  });

  it('a worker that leaves without closing does not keep the owner from closing', async () => {
    const quire = await Quire.open({ budget: '8MiB', threads: 1 });
    await using client = await startClient(quire.handle);
    await client.run(`quire.region({ size: ${MIB}, name: 'left' }).fill(0, ${MIB}, 1); quire.map({ name: 'left' });`);
    await client.end();
    const region = quire.region({ size: MIB, name: 'left' });
    const got = new Uint8Array(1);
    region.read(5, got);
    assert.equal(got[0], 1);
    await quire.close();
  });
});
