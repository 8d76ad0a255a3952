import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CommandTable } from './command-table.ts';
import { allHandlers } from './commands/all.ts';

const handlers = allHandlers(undefined as never);
const table = new CommandTable(handlers);
const find = (name: string) => table.find(Buffer.from(name, 'latin1'));

/** What the project promises, word by word. */
const PROMISED =
  `hello auth select ping echo quit reset client command config info memory dbsize flushdb flushall time shutdown
  del unlink exists type expire pexpire expireat pexpireat expiretime pexpiretime ttl pttl persist rename renamenx copy randomkey keys
  scan touch object get set setnx setex psetex getset getdel getex mget mset msetnx incr decr incrby decrby incrbyfloat append strlen
  getrange substr setrange getbit setbit bitcount bitop bitpos lcs multi exec discard watch unwatch`.split(/\s+/);
const PROMISED_PARTS =
  `client|id client|getname client|setname client|setinfo client|list client|info client|kill client|no-evict
  client|no-touch client|reply command|count command|docs command|info command|list config|get config|set config|resetstat
  memory|usage memory|stats`.split(/\s+/);

describe('CommandTable', () => {
  it('has every promised command and subcommand', () => {
    for (const name of PROMISED) assert.equal(find(name)?.name, name);
    for (const name of PROMISED_PARTS) assert.equal(table.byName(name)?.name, name);
  });

  it('has a handler for each command, and a command for each handler', () => {
    const names = [...table.all()].map(({ name }) => name);
    for (const name of Object.keys(handlers)) assert.ok(names.includes(name), name);
    for (const command of table.all()) {
      if (command.subcommands === undefined) assert.equal(command.handler, handlers[command.name], command.name);
    }
  });

  it('finds names in any case, and only whole names', () => {
    fc.assert(
      fc.property(fc.constantFrom(...PROMISED), fc.array(fc.boolean(), { minLength: 12 }), (name, upper) => {
        const mixed = [...name].map((letter, i) => (upper[i % upper.length] ? letter.toUpperCase() : letter)).join('');
        assert.equal(find(mixed)?.name, name);
        assert.equal(find(`${mixed} `), undefined);
        if (!PROMISED.includes(name.slice(1))) assert.equal(find(name.slice(1)), undefined);
      }),
    );
  });

  it('finds nothing in other bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const found = table.find(bytes);
        assert.equal(
          found?.name,
          PROMISED.find((name) => name === Buffer.from(bytes).toString('latin1').toLowerCase()),
        );
      }),
    );
  });

  it('does not take control characters for letters', () => {
    assert.equal(find('\x07ET'), undefined);
    assert.equal(find('GE\x14'), undefined);
  });

  it('knows flags as Redis does', () => {
    assert.ok(find('set')?.isWrite && find('set')?.isDenyOom);
    assert.ok(!find('get')?.isWrite && !find('del')?.isDenyOom);
    assert.ok(find('auth')?.isNoAuth && find('hello')?.isNoAuth && !find('ping')?.isNoAuth);
    assert.ok(find('shutdown')?.isNoMulti);
  });
});
