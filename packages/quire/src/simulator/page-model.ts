/**
 * What a region should hold, in plain JS. A page has its content, and for each write that is under way, or ended in
 * an error, a patch: bytes that may or may not be there. A read that overlaps writes in time may see, byte by byte,
 * any content or patch of its window; one that does not must see the content.
 */
import { PAGE_BYTES } from '../base/units.ts';

export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

interface Patch {
  readonly from: number;
  readonly to: number;
  /** `bytes[i]` belongs to byte `from + i` of the page. */
  readonly bytes: Uint8Array;
  active: boolean;
  /** Another write of the same bytes ran at the same time: which one won is settled by looking. */
  contested: boolean;
}

interface Watch {
  readonly contents: Uint8Array[];
  readonly patches: Patch[];
}

interface Page {
  content: Uint8Array;
  patches: Patch[];
  readonly watches: Set<Watch>;
}

export interface ReadWindow {
  readonly offset: number;
  readonly length: number;
  readonly watches: { readonly page: Page; readonly watch: Watch }[];
}

export interface WriteWindow {
  readonly offset: number;
  readonly length: number;
  readonly parts: { readonly number: number; readonly page: Page; readonly patch: Patch }[];
}

/** What each page was while a clone was made. Pages that come to be meanwhile are added. */
export interface CloneWindow {
  readonly watches: Map<number, { readonly page: Page; readonly watch: Watch }>;
}

const ZEROS = new Uint8Array(PAGE_BYTES);

export class RegionModel {
  readonly name: string;
  readonly size: number;
  /** Threads that have it open. */
  refs = 0;
  private readonly pages = new Map<number, Page>();
  private readonly unsettled = new Set<number>();
  private readonly clones = new Set<CloneWindow>();

  constructor(name: string, size: number) {
    this.name = name;
    this.size = size;
  }

  /** Pages that were ever written. */
  get pageNumbers(): Iterable<number> {
    return this.pages.keys();
  }

  beginRead(offset: number, length: number): ReadWindow {
    const window: ReadWindow = { offset, length, watches: [] };
    forEachPage(offset, length, (number) => {
      const page = this.page(number);
      const watch = { contents: [page.content], patches: [...page.patches] };
      page.watches.add(watch);
      window.watches.push({ page, watch });
    });
    return window;
  }

  dropRead(window: ReadWindow): void {
    for (const { page, watch } of window.watches) page.watches.delete(watch);
  }

  /** Ends the window; throws Mismatch when `bytes` cannot have been read in it. */
  endRead(window: ReadWindow, bytes: Uint8Array): void {
    this.dropRead(window);
    let index = 0;
    let done = 0;
    forEachPage(window.offset, window.length, (number, from, to) => {
      const { watch } = window.watches[index++];
      checkBytes(this.name, number, from, to, bytes, done, watch);
      done += to - from;
    });
  }

  beginClone(): CloneWindow {
    const window: CloneWindow = { watches: new Map() };
    for (const [number, page] of this.pages) watchForClone(window, number, page);
    this.clones.add(window);
    return window;
  }

  dropClone(window: CloneWindow): void {
    this.clones.delete(window);
    for (const { page, watch } of window.watches.values()) page.watches.delete(watch);
  }

  /** Ends the window: what the clone may hold. Pages that changed meanwhile, or had writes under way, are settled by looking. */
  endClone(window: CloneWindow, name: string): RegionModel {
    this.dropClone(window);
    const clone = new RegionModel(name, this.size);
    for (const [number, { watch }] of window.watches) {
      const [content, ...others] = watch.contents;
      const left = { active: false, contested: true };
      const patches = [
        ...others.map((bytes) => ({ ...left, from: 0, to: PAGE_BYTES, bytes })),
        ...watch.patches.map(({ from, to, bytes }) => ({ ...left, from, to, bytes })),
      ];
      clone.pages.set(number, { content, patches, watches: new Set() });
      if (patches.length > 0) clone.unsettled.add(number);
    }
    return clone;
  }

  /** True when an unfinished write touches any of these bytes. */
  isContested(offset: number, length: number): boolean {
    let contested = false;
    forEachPage(offset, length, (number, from, to) => {
      const page = this.pages.get(number);
      if (page?.patches.some((patch) => patch.active && overlaps(patch, from, to)) === true) contested = true;
    });
    return contested;
  }

  /** `bytes` is kept: do not change it. */
  beginWrite(offset: number, bytes: Uint8Array): WriteWindow {
    const window: WriteWindow = { offset, length: bytes.length, parts: [] };
    let done = 0;
    forEachPage(offset, bytes.length, (number, from, to) => {
      const page = this.page(number);
      const patch = { from, to, bytes: bytes.subarray(done, done + to - from), active: true, contested: false };
      for (const other of page.patches) {
        if (!overlaps(other, from, to)) continue;
        other.contested = true;
        if (other.active) patch.contested = true;
      }
      page.patches.push(patch);
      for (const watch of page.watches) watch.patches.push(patch);
      window.parts.push({ number, page, patch });
      done += to - from;
    });
    return window;
  }

  endWrite(window: WriteWindow): void {
    for (const part of window.parts) {
      if (part.patch.contested) this.leaveOpen(part.number, part.patch);
      else this.apply(part.page, part.patch);
    }
  }

  /** The write did not happen. */
  dropWrite(window: WriteWindow): void {
    for (const { page, patch } of window.parts) page.patches = page.patches.filter((other) => other !== patch);
  }

  /** The write failed: each page has all of it or nothing. */
  failWrite(window: WriteWindow): void {
    for (const { number, patch } of window.parts) this.leaveOpen(number, patch);
  }

  private leaveOpen(number: number, patch: Patch): void {
    patch.active = false;
    this.unsettled.add(number);
  }

  private apply(page: Page, patch: Patch): void {
    const content = page.content.slice();
    content.set(patch.bytes, patch.from);
    page.content = content;
    page.patches = page.patches.filter((other) => other !== patch && (other.active || !covers(patch, other)));
    for (const watch of page.watches) watch.contents.push(content);
  }

  /**
   * Decides what writes that failed or raced have left, by looking. `read` returns the page, undefined when it cannot
   * be read now. Call it while nobody else is at work.
   */
  settle(read: (offset: number) => Uint8Array | undefined): void {
    for (const number of [...this.unsettled]) {
      const page = this.page(number);
      if (page.patches.some((patch) => patch.active)) continue;
      const bytes = read(number * PAGE_BYTES);
      if (bytes === undefined) continue;
      this.unsettled.delete(number);
      if (page.patches.length === 0) continue;
      checkBytes(this.name, number, 0, PAGE_BYTES, bytes, 0, { contents: [page.content], patches: page.patches });
      if (page.patches.length === 1) checkWhole(this.name, number, page.content, page.patches[0], bytes);
      page.content = bytes;
      page.patches = [];
      for (const watch of page.watches) watch.contents.push(bytes);
    }
  }

  private page(number: number): Page {
    let page = this.pages.get(number);
    if (page === undefined) {
      page = { content: ZEROS, patches: [], watches: new Set() };
      this.pages.set(number, page);
      for (const window of this.clones) watchForClone(window, number, page);
    }
    return page;
  }
}

function watchForClone(window: CloneWindow, number: number, page: Page): void {
  const watch = { contents: [page.content], patches: [...page.patches] };
  page.watches.add(watch);
  window.watches.set(number, { page, watch });
}

/** Calls `visit(number, from, to)` for each page of a range, with the bytes of the page that belong to it. */
export function forEachPage(
  offset: number,
  length: number,
  visit: (number: number, from: number, to: number) => void,
): void {
  let at = offset;
  while (at < offset + length) {
    const number = Math.floor(at / PAGE_BYTES);
    const from = at - number * PAGE_BYTES;
    const to = Math.min(PAGE_BYTES, from + offset + length - at);
    visit(number, from, to);
    at += to - from;
  }
}

function overlaps(patch: Patch, from: number, to: number): boolean {
  return patch.from < to && from < patch.to;
}

function covers(patch: Patch, other: Patch): boolean {
  return patch.from <= other.from && patch.to >= other.to;
}

function checkBytes(
  name: string,
  number: number,
  from: number,
  to: number,
  bytes: Uint8Array,
  start: number,
  watch: Watch,
): void {
  const seen = Buffer.from(bytes.buffer, bytes.byteOffset + start, to - from);
  for (const content of watch.contents) if (seen.compare(content, from, to) === 0) return;
  for (let at = from; at < to; at++) {
    const byte = bytes[start + at - from];
    if (watch.contents.some((content) => content[at] === byte)) continue;
    if (watch.patches.some((patch) => at >= patch.from && at < patch.to && patch.bytes[at - patch.from] === byte))
      continue;
    throw new Mismatch(
      `${name} page ${number} byte ${at}: read ${byte}, expected ${watch.contents.map((content) => content[at]).join(' or ')}` +
        ` (${watch.patches.length} writes under way)`,
    );
  }
}

function checkWhole(name: string, number: number, content: Uint8Array, patch: Patch, bytes: Uint8Array): void {
  if (patch.contested) return;
  const seen = Buffer.from(bytes.buffer, bytes.byteOffset + patch.from, patch.to - patch.from);
  if (seen.equals(patch.bytes) || seen.compare(content, patch.from, patch.to) === 0) return;
  throw new Mismatch(`${name} page ${number}: a write that failed is there in part`);
}
