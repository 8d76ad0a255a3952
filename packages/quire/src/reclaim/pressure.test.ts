/** Stall totals and averages, by a clock that the tests turn. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as L from '../arena/layout.ts';
import { OWED_US_MAX, type Pressure, StallMeter } from './pressure.ts';

interface Scene {
  nowUs: number;
  readonly words: Int32Array;
  meter(): StallMeter;
}

function createScene(): Scene {
  const words = new Int32Array(new SharedArrayBuffer(L.STATIC_WORDS * 4));
  const scene: Scene = {
    nowUs: 5_000_000,
    words,
    meter: () => {
      const meter = new StallMeter(words, () => scene.nowUs);
      meter.join();
      return meter;
    },
  };
  return scene;
}

function totals({ some, full }: Pressure): [number, number] {
  return [some.totalUs, full.totalUs];
}

describe('stalls', () => {
  it('count as some while one thread is held up, as full while all are', () => {
    const scene = createScene();
    const one = scene.meter();
    const two = scene.meter();
    scene.nowUs += 1000;
    one.begin();
    scene.nowUs += 200;
    two.begin();
    scene.nowUs += 30;
    assert.deepEqual(totals(one.read()), [230, 30], 'as of now');
    one.end();
    scene.nowUs += 4;
    two.end();
    scene.nowUs += 1000;
    assert.deepEqual(totals(two.read()), [234, 30]);
    assert.equal(scene.words[L.H_PSI_STALLED], 0);
  });

  it('nest, and count once', () => {
    const scene = createScene();
    const meter = scene.meter();
    meter.begin();
    scene.nowUs += 10;
    meter.begin();
    scene.nowUs += 10;
    meter.end();
    scene.nowUs += 10;
    meter.end();
    assert.deepEqual(totals(meter.read()), [30, 30]);
    assert.throws(() => meter.end(), /a stall ends that began/);
  });

  it('of a thread that left are not in the way of full', () => {
    const scene = createScene();
    const one = scene.meter();
    const two = scene.meter();
    two.leave();
    one.begin();
    scene.nowUs += 50;
    one.end();
    assert.deepEqual(totals(one.read()), [50, 50]);
  });

  it('with a clock that steps back lose time and never gain it', () => {
    const scene = createScene();
    const meter = scene.meter();
    meter.begin();
    scene.nowUs -= 500;
    meter.end();
    assert.deepEqual(totals(meter.read()), [0, 0]);
  });

  it('whose lock was left by a dead thread go on', () => {
    const scene = createScene();
    const meter = scene.meter();
    Atomics.store(scene.words, L.H_PSI_LOCK, 1);
    meter.begin();
    scene.nowUs += 70;
    meter.end();
    assert.equal(scene.words[L.H_PSI_LOCK], 0);
    assert.equal(meter.read().some.totalUs, 70);
  });

  it('of any schedule equal what is counted microsecond by microsecond', () => {
    const step = fc.record({ who: fc.nat(2), wait: fc.nat(50) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const scene = createScene();
        const meters = [scene.meter(), scene.meter(), scene.meter()];
        const isIn = [false, false, false];
        const expected: [number, number] = [0, 0];
        for (const { who, wait } of steps) {
          if (isIn[who]) meters[who].end();
          else meters[who].begin();
          isIn[who] = !isIn[who];
          scene.nowUs += wait;
          if (isIn.some(Boolean)) expected[0] += wait;
          if (isIn.every(Boolean)) expected[1] += wait;
        }
        assert.deepEqual(totals(meters[0].read()), expected);
      }),
    );
  });
});

describe('waits', () => {
  const wait = (scene: Scene, meter: StallMeter, us: number): void => {
    meter.beginWait();
    scene.nowUs += us;
    meter.endWait();
  };

  it('of one thread, long or short, are all counted', () => {
    const step = fc.record({ us: fc.oneof(fc.nat(30), fc.nat(5000)), pause: fc.nat(100), isStall: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const scene = createScene();
        const meter = scene.meter();
        let expected = 0;
        for (const { us, pause, isStall } of steps) {
          if (isStall) meter.begin();
          wait(scene, meter, us);
          if (isStall) meter.end();
          scene.nowUs += pause;
          expected += us;
        }
        const got = totals(meter.read());
        assert.ok(Math.abs(got[0] - expected) <= 1 && got[0] === got[1], `${got}, not ${expected}`);
      }),
    );
  });

  it('that are short take no lock until their sum is worth it, and others are not late by more', () => {
    const scene = createScene();
    const meter = scene.meter();
    const other = scene.meter();
    wait(scene, meter, 5); // the first is not known to be short
    scene.words[L.H_PSI_LOCK] = 1; // nobody gets by
    for (let i = 0; i < OWED_US_MAX / 5 - 1; i++) wait(scene, meter, 5);
    assert.equal(scene.words[L.H_PSI_LOCK], 1);
    Atomics.store(scene.words, L.H_PSI_LOCK, 0);
    assert.deepEqual(totals(other.read()), [5, 0]);
    wait(scene, meter, 5);
    assert.deepEqual(totals(other.read()), [5 + OWED_US_MAX, 0]);
  });

  it('of a device that becomes slow count in full from the first on, and are seen while they last from the second', () => {
    const scene = createScene();
    const meter = scene.meter();
    const other = scene.meter();
    for (let i = 0; i < 10; i++) wait(scene, meter, 2);
    wait(scene, meter, 9000);
    assert.deepEqual(totals(other.read()), [9020, 0]);
    meter.beginWait();
    scene.nowUs += 700;
    assert.deepEqual(totals(other.read()), [9720, 0]);
    meter.endWait();
    assert.equal(scene.words[L.H_PSI_STALLED], 0);
  });

  it('of several threads never count more than the time there was, nor take back what they counted', () => {
    const step = fc.record({ who: fc.nat(2), pause: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const scene = createScene();
        const meters = [scene.meter(), scene.meter(), scene.meter()];
        const began = scene.nowUs;
        const beganWait = [-1, -1, -1];
        let some = 0;
        for (const { who, pause } of steps) {
          if (beganWait[who] >= 0) meters[who].endWait();
          else meters[who].beginWait();
          beganWait[who] = beganWait[who] >= 0 ? -1 : scene.nowUs;
          scene.nowUs += pause;
          const total = meters[0].read().some.totalUs;
          assert.ok(total >= some && total <= scene.nowUs - began + 1, `${total} of ${scene.nowUs - began}`);
          some = total;
        }
        for (const [who, since] of beganWait.entries()) if (since >= 0) meters[who].endWait();
        for (const meter of meters) meter.leave();
        assert.equal(scene.words[L.H_PSI_STALLED], 0);
      }),
    );
  });
});

describe('averages', () => {
  it('of a steady share come to it, the short window first', () => {
    const scene = createScene();
    const meter = scene.meter();
    let previous = meter.read().some;
    for (let second = 0; second < 30; second++) {
      meter.begin();
      scene.nowUs += 250_000;
      meter.end();
      scene.nowUs += 750_000;
      const { some } = meter.read();
      assert.ok(some.avg10 >= previous.avg10 && some.avg10 <= 25);
      assert.ok(some.avg10 >= some.avg60 && some.avg60 >= some.avg300);
      previous = some;
    }
    assert.ok(Math.abs(previous.avg10 - 25 * (1 - Math.exp(-3))) < 1e-6, `${previous.avg10} after three windows`);
  });

  it('decay when nothing is stalled, however seldom one looks', () => {
    const often = createScene();
    const seldom = createScene();
    for (const scene of [often, seldom]) {
      const meter = scene.meter();
      meter.begin();
      scene.nowUs += 10_000_000;
      meter.end();
      meter.read();
    }
    const meters = [often, seldom].map(({ words }, i) => new StallMeter(words, () => (i === 0 ? often : seldom).nowUs));
    for (let looked = 0; looked < 10; looked++) {
      often.nowUs += 2_000_000;
      meters[0].read();
    }
    seldom.nowUs += 20_000_000;
    const [a, b] = meters.map((meter) => meter.read().some);
    for (const name of ['avg10', 'avg60', 'avg300'] as const) assert.ok(Math.abs(a[name] - b[name]) < 1e-9, name);
    assert.ok(a.avg10 < a.avg60, 'forgotten sooner');
  });

  it('do not change between two looks within two seconds', () => {
    const scene = createScene();
    const meter = scene.meter();
    meter.begin();
    scene.nowUs += 1_999_999;
    assert.equal(meter.read().some.avg10, 0);
    scene.nowUs += 1;
    assert.ok(meter.read().some.avg10 > 0);
  });
});
