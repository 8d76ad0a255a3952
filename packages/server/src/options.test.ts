import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FlagError, HELP, parseOptions } from './options.ts';

const GIB = 1024 ** 3;
const parse = (line: string) => parseOptions(line === '' ? [] : line.split(' '), 4 * GIB);

describe('parseOptions', () => {
  it('needs no flag', () => {
    assert.deepEqual(parse(''), {
      port: 6379,
      bind: ['127.0.0.1'],
      budget: 256 * 1024 ** 2,
      swapFile: undefined,
      swapSize: GIB,
      threads: 'auto',
      databases: 16,
      policy: 'noeviction',
      requirepass: '',
      maxclients: 10000,
    });
  });

  it('takes each flag, also with an equals sign', () => {
    const line =
      '--port 7000 --bind 127.0.0.1 ::1 --budget=1gb --swap-file /tmp/x --swap-size 2gb --threads 2 --databases 4 ' +
      '--maxmemory-policy allkeys-lru --requirepass pw --maxclients=50';
    assert.deepEqual(parse(line), {
      port: 7000,
      bind: ['127.0.0.1', '::1'],
      budget: GIB,
      swapFile: '/tmp/x',
      swapSize: 2 * GIB,
      threads: 2,
      databases: 4,
      policy: 'allkeys-lru',
      requirepass: 'pw',
      maxclients: 50,
    });
  });

  it('takes sizes as redis.conf and as Quire write them', () => {
    const sizes: [string, number][] = [
      ['100000000', 1e8],
      ['1g', 1e9],
      ['1gb', GIB],
      ['512MiB', GIB / 2],
      ['25%', GIB],
    ];
    for (const [text, budget] of sizes) {
      const options = parse(`--budget ${text}`);
      assert.ok(options !== 'help');
      assert.equal(options.budget, budget, text);
      assert.equal(options.swapSize, budget * 4);
    }
    const none = parse('--swap-size 0');
    assert.ok(none !== 'help' && none.swapSize === 0);
  });

  it('binds other addresses with a password only', () => {
    assert.throws(() => parse('--bind 0.0.0.0'), /requirepass/);
    assert.notEqual(parse('--bind 0.0.0.0 --requirepass x'), 'help');
    assert.notEqual(parse('--bind localhost'), 'help');
  });

  it('gives help before anything else', () => {
    assert.equal(parse('--help'), 'help');
    assert.equal(parse('--port 1 -h'), 'help');
    for (const name of [
      'port',
      'bind',
      'budget',
      'swap-file',
      'swap-size',
      'threads',
      'databases',
      'maxmemory-policy',
      'requirepass',
    ]) {
      assert.ok(HELP.includes(`--${name} `), name);
    }
  });

  const wrong = [
    'foo',
    '--foo 1',
    '--port',
    '--port abc',
    '--port -1',
    '--port 65536',
    '--port 1.5',
    '--port 1 --port 2',
    '--port 1 2',
    '--budget lots',
    '--budget 0',
    '--budget 5gb',
    '--budget 200%',
    '--swap-size x',
    '--threads many',
    '--threads 17',
    '--databases 0',
    '--databases 1000',
    '--maxmemory-policy volatile-lru',
    '--maxclients 0',
    '-p 1',
  ];
  for (const line of wrong) {
    it(`refuses ${line} in one line`, () => {
      assert.throws(
        () => parse(line),
        (error) => error instanceof FlagError && !error.message.includes('\n') && error.message.length < 200,
      );
    });
  }
});
