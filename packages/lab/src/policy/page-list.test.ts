import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Links, NO_PAGE, PageList } from './page-list.ts';

const PAGES = 12;

describe('lists of pages', () => {
  it('agree with two arrays', () => {
    const steps = fc.array(fc.tuple(fc.nat(PAGES - 1), fc.nat(1)), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(steps, (sequence) => {
        const links = new Links(PAGES);
        const lists = [new PageList(links, 1), new PageList(links, 2)];
        const arrays: number[][] = [[], []]; // heads first
        for (const [page, which] of sequence) {
          const on = arrays.findIndex((array) => array.includes(page));
          if (on < 0) {
            lists[which].addHead(page);
            arrays[which].unshift(page);
          } else {
            lists[on].remove(page);
            arrays[on].splice(arrays[on].indexOf(page), 1);
          }
          for (const [i, list] of lists.entries()) {
            const array = arrays[i];
            assert.deepEqual(
              [list.head, list.tail, list.size],
              [array[0] ?? NO_PAGE, array.at(-1) ?? NO_PAGE, array.length],
            );
            const walked: number[] = [];
            for (let at = list.tail; at !== NO_PAGE; at = list.before(at)) walked.unshift(at);
            assert.deepEqual(walked, array);
            for (let at = 0; at < PAGES; at++) assert.equal(list.has(at), array.includes(at));
          }
        }
      }),
    );
  });

  it('refuse a page that is on a list already, or on another', () => {
    const links = new Links(2);
    const [one, other] = [new PageList(links, 1), new PageList(links, 2)];
    one.addHead(0);
    assert.throws(() => one.addHead(0), /no list/);
    assert.throws(() => other.addHead(0), /no list/);
    assert.throws(() => other.remove(0), /this list/);
    assert.throws(() => one.remove(1), /this list/);
  });
});
