/**
 * The looks of one sweep (swap/reclaim-loop.ts). Each look takes the touch mark back, so whatever is not used faster than
 * that has been found by the end.
 */
const LOOKS_A_PAGE = 3;

export class Sweep {
  /** Pages looked at since it began, which is at the last gain or the end of the sweep before. */
  looks = 0;
  /** Pages of files were met that have to be written first. Holds until the next sweep looks at its first page. */
  isDirtyMet = false;
  private looksMax = 0;
  private limit = Number.POSITIVE_INFINITY;

  /** As many looks as there are pages: those that are left may be on a list that is not looked at. */
  get hasLookedAtAll(): boolean {
    return this.looks > 0 && this.looks * LOOKS_A_PAGE > this.looksMax;
  }

  /** From the next look on, of this sweep and those after it, at most `limit` looks each. */
  restart(limit: number): void {
    this.limit = limit;
    this.begin();
  }

  /** The next look is the first. */
  begin(): void {
    this.looks = 0;
    this.isDirtyMet = false;
  }

  /**
   * `looked` more, `dirty` of them dirty, and nothing gained; `pages` are on the lists. True while the sweep goes on: then
   * more may be found.
   */
  goesOn(looked: number, dirty: number, pages: number): boolean {
    if (this.looks === 0) {
      this.looksMax = Math.min(LOOKS_A_PAGE * pages, this.limit);
      this.isDirtyMet = false;
    }
    if (dirty > 0) this.isDirtyMet = true;
    this.looks += looked;
    if (looked > 0 && this.looks <= this.looksMax) return true;
    this.looks = 0;
    return false;
  }
}
