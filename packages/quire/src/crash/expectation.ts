/**
 * What may be in the files after a kill: of each sector, the version of the last acknowledged sync of its file, or
 * any written since, or of a write under way a part; zeros where the file was cut or had not reached. `acknowledge`
 * forgets what can no longer be.
 */
import type { Step } from './plan.ts';
import { fillSectors, SECTOR_BYTES, VERSION_GARBAGE, VERSION_ZERO, versionOf } from './sectors.ts';

class FileExpectation {
  /** Version of each sector as all steps so far leave it. */
  latest: number[];
  /** Sectors for which more than the latest version may be there. */
  readonly others = new Map<number, Set<number>>();
  /** Sizes, in sectors, between which the file may end. */
  low: number;
  high: number;

  constructor(latest: number[]) {
    this.latest = latest;
    this.low = latest.length;
    this.high = latest.length;
  }

  write(first: number, count: number, version: number): void {
    for (let sector = this.latest.length; sector < first; sector++) this.set(sector, VERSION_ZERO);
    for (let sector = first; sector < first + count; sector++) this.set(sector, version);
    this.high = Math.max(this.high, this.latest.length);
  }

  truncate(sectors: number): void {
    for (let sector = sectors; sector < this.latest.length; sector++) this.mayBe(sector, this.latest[sector]);
    for (let sector = this.latest.length; sector < sectors; sector++) this.set(sector, VERSION_ZERO);
    this.latest.length = sectors;
    this.low = Math.min(this.low, sectors);
    this.high = Math.max(this.high, sectors);
  }

  acknowledge(): void {
    this.others.clear();
    this.low = this.latest.length;
    this.high = this.latest.length;
  }

  private set(sector: number, version: number): void {
    this.mayBe(sector, sector < this.latest.length ? this.latest[sector] : VERSION_ZERO);
    this.latest[sector] = version;
  }

  private mayBe(sector: number, version: number): void {
    const versions = this.others.get(sector) ?? new Set();
    versions.add(version);
    // Whoever is written again after a cut may find zeros beneath.
    if (sector >= this.low) versions.add(VERSION_ZERO);
    this.others.set(sector, versions);
  }

  isPossible(sector: number, version: number): boolean {
    const others = this.others.get(sector);
    if (sector < this.latest.length && this.latest[sector] === version) return true;
    if (others?.has(version) === true) return true;
    return version === VERSION_ZERO && sector >= this.low;
  }

  /**
   * A write that was not acknowledged may have been written back half way through, so bytes of the versions before and
   * after it may stand side by side. Of an acknowledged sector that is never so.
   */
  isPossibleMix(file: number, sector: number, bytes: Uint8Array): boolean {
    const others = this.others.get(sector);
    if (others === undefined) return false;
    const versions = [...others, VERSION_ZERO].filter((version) => this.isPossible(sector, version));
    if (sector < this.latest.length) versions.push(this.latest[sector]);
    const parts = versions.map((version) => sectorOf(file, sector, version));
    return bytes.every((byte, at) => parts.some((part) => part[at] === byte));
  }
}

/** The bytes of a sector as this version has them. */
function sectorOf(file: number, sector: number, version: number): Uint8Array {
  return version === VERSION_ZERO ? new Uint8Array(SECTOR_BYTES) : fillSectors(file, sector, 1, version);
}

export class Expectation {
  private readonly files: FileExpectation[];

  constructor(images: readonly Uint8Array[]) {
    this.files = images.map((image, file) => new FileExpectation(versionsIn(image, file)));
  }

  take(step: Step): void {
    const file = this.files[step.file];
    if (step.kind === 'write' || step.kind === 'append') file.write(step.first, step.count, step.version);
    else if (step.kind === 'truncate') file.truncate(step.first);
  }

  /** The sync of this file was acknowledged. */
  acknowledge(file: number): void {
    this.files[file].acknowledge();
  }

  /** What a reader of the running writer sees: the latest version of each sector, zeros in holes. */
  latestOf(file: number): readonly number[] {
    return this.files[file].latest;
  }

  /** What is wrong with the files, one line each. */
  check(images: readonly Uint8Array[]): string[] {
    return images.flatMap((image, file) => this.checkFile(image, file));
  }

  private checkFile(image: Uint8Array, file: number): string[] {
    const { low, high, latest } = this.files[file];
    if (image.length % SECTOR_BYTES !== 0) return [`file ${file} ends inside a sector, at ${image.length}`];
    const versions = versionsIn(image, file);
    if (versions.length < low || versions.length > high)
      return [`file ${file} has ${versions.length} sectors, expected ${low}…${high}`];
    const wrong = versions.findIndex((version, sector) => {
      if (this.files[file].isPossible(sector, version)) return false;
      const bytes = image.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      return version !== VERSION_GARBAGE || !this.files[file].isPossibleMix(file, sector, bytes);
    });
    if (wrong === -1) return [];
    const found = versions[wrong] === VERSION_GARBAGE ? 'garbage' : `version ${versions[wrong]}`;
    const others = [...(this.files[file].others.get(wrong) ?? [])];
    return [
      `file ${file}, sector ${wrong} of ${versions.length}: ${found}, expected ${latest[wrong]}` +
        (others.length > 0 ? ` or ${others.join(' or ')}` : ''),
    ];
  }
}

function versionsIn(image: Uint8Array, file: number): number[] {
  return Array.from({ length: Math.floor(image.length / SECTOR_BYTES) }, (_, sector) => versionOf(image, file, sector));
}
