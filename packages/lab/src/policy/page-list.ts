/**
 * Doubly linked lists of pages over arrays. Lists made of the same links share them: a page is on one of them at most, as a
 * frame of the core is.
 */
import { strict as assert } from 'node:assert/strict';

export const NO_PAGE = -1;

export class Links {
  readonly towardsHead: Int32Array;
  readonly towardsTail: Int32Array;
  /** Number of the list each page is on, 0 for none. */
  readonly listOf: Uint8Array;

  constructor(pages: number) {
    this.towardsHead = new Int32Array(pages).fill(NO_PAGE);
    this.towardsTail = new Int32Array(pages).fill(NO_PAGE);
    this.listOf = new Uint8Array(pages);
  }
}

export class PageList {
  readonly #links: Links;
  readonly #number: number;
  #head = NO_PAGE;
  #tail = NO_PAGE;
  #size = 0;

  /** @param number of this list among those over `links`, from 1 */
  constructor(links: Links, number: number) {
    this.#links = links;
    this.#number = number;
  }

  get head(): number {
    return this.#head;
  }

  get tail(): number {
    return this.#tail;
  }

  get size(): number {
    return this.#size;
  }

  has(page: number): boolean {
    return this.#links.listOf[page] === this.#number;
  }

  /** The neighbour towards the head, NO_PAGE at the head. */
  before(page: number): number {
    return this.#links.towardsHead[page];
  }

  addHead(page: number): void {
    const { towardsHead, towardsTail, listOf } = this.#links;
    assert.equal(listOf[page], 0, 'page on no list');
    listOf[page] = this.#number;
    towardsHead[page] = NO_PAGE;
    towardsTail[page] = this.#head;
    if (this.#head === NO_PAGE) this.#tail = page;
    else towardsHead[this.#head] = page;
    this.#head = page;
    this.#size += 1;
  }

  remove(page: number): void {
    const { towardsHead, towardsTail, listOf } = this.#links;
    assert.equal(listOf[page], this.#number, 'page on this list');
    const before = towardsHead[page];
    const after = towardsTail[page];
    if (before === NO_PAGE) this.#head = after;
    else towardsTail[before] = after;
    if (after === NO_PAGE) this.#tail = before;
    else towardsHead[after] = before;
    listOf[page] = 0;
    this.#size -= 1;
  }
}
