/** How pages are compressed, tier by tier, and what becomes of those that cannot be. */
import { H_FILE_ZSTD, H_POOL_ZSTD } from '../arena/layout.ts';
import type { Node } from '../arena/node.ts';
import { invalidArg, outOfRange, QuireError } from '../base/errors.ts';
import { hasZstd, ZSTD_NODE_VERSIONS } from '../daemons/node-zstd.ts';
import { setCodecs } from '../swap/block-codec.ts';
import {
  INCOMPRESSIBLE_POLICIES,
  type IncompressiblePolicy,
  incompressiblePolicy,
  setIncompressible,
} from '../swap/incompressible.ts';

/** 'zstd' takes a Node that has it: 22.15, 23.8 or later. */
export type Codec = 'lz4' | 'zstd';

export interface CodecOptions {
  readonly codec?: Codec;
  /** Of 'zstd' alone: 1 (fastest) to 22; default 3. */
  readonly level?: number;
}

/** What of a tier's options is about codecs. */
export interface CodecTier extends CodecOptions {
  readonly tier: 'compressed' | 'file';
  readonly incompressible?: IncompressiblePolicy;
}

/** zstd levels, 0 for LZ4 in the pool and for 'as it is' in the files. */
export interface Codecs {
  readonly poolZstd: number;
  readonly fileZstd: number;
  readonly incompressible: IncompressiblePolicy;
}

const ZSTD_LEVEL_DEFAULT = 3;
const ZSTD_LEVEL_MAX = 22;

/** zstd level, 0 for LZ4. Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE, ERR_QUIRE_UNSUPPORTED. */
function resolveCodec({ codec, level }: CodecOptions): number {
  if (codec !== undefined && codec !== 'lz4' && codec !== 'zstd') throw invalidArg('codec', "'lz4' or 'zstd'", codec);
  if (codec !== 'zstd') {
    if (level !== undefined) throw invalidArg('level', "absent, but for codec 'zstd'", level);
    return 0;
  }
  const wanted = level ?? ZSTD_LEVEL_DEFAULT;
  if (!Number.isInteger(wanted)) throw invalidArg('level', 'an integer', level);
  if (wanted < 1 || wanted > ZSTD_LEVEL_MAX) throw outOfRange('level', `1…${ZSTD_LEVEL_MAX}`, wanted);
  if (!hasZstd()) {
    const message = `codec 'zstd' needs Node ${ZSTD_NODE_VERSIONS}; this is ${process.versions.node}`;
    throw new QuireError('ERR_QUIRE_UNSUPPORTED', message);
  }
  return wanted;
}

/** Throws ERR_QUIRE_INVALID_ARG, ERR_QUIRE_RANGE, ERR_QUIRE_UNSUPPORTED. */
export function checkCodec(tier: CodecTier): void {
  resolveCodec(tier);
  if (tier.tier === 'compressed') resolveIncompressible(tier.incompressible);
}

/** What the tiers ask for, `before` where they do not say. Of several files the last that asks for zstd decides. */
export function codecsOf(tiers: readonly CodecTier[], before: Codecs = NO_CODECS): Codecs {
  let codecs = before;
  for (const tier of tiers) {
    const level = resolveCodec(tier);
    if (tier.tier === 'file') codecs = level === 0 ? codecs : { ...codecs, fileZstd: level };
    else codecs = { ...codecs, poolZstd: level, incompressible: resolveIncompressible(tier.incompressible) };
  }
  return codecs;
}

const NO_CODECS: Codecs = { poolZstd: 0, fileZstd: 0, incompressible: 'keep' };

/**
 * What holds once the tier is added to a running instance. Throws ERR_QUIRE_UNSUPPORTED for another codec of the compressed
 * tier than it was opened with.
 */
export function codecsAfter(node: Node, tier: CodecTier): Codecs {
  const { words } = node;
  const poolZstd = words[H_POOL_ZSTD];
  const now = { poolZstd, fileZstd: words[H_FILE_ZSTD], incompressible: incompressiblePolicy(node) };
  const codecs = codecsOf([tier], now);
  if (codecs.poolZstd === poolZstd || tier.codec === undefined) return { ...codecs, poolZstd };
  throw new QuireError(
    'ERR_QUIRE_UNSUPPORTED',
    'the codec of the compressed tier is chosen when the instance is opened',
  );
}

/** For what is compressed from now on. */
export function setTierCodecs(nodes: readonly Node[], { poolZstd, fileZstd, incompressible }: Codecs): void {
  setCodecs(nodes, poolZstd, fileZstd);
  setIncompressible(nodes, incompressible);
}

/** Throws ERR_QUIRE_INVALID_ARG. */
function resolveIncompressible(policy: unknown): IncompressiblePolicy {
  if (policy === undefined) return 'keep';
  const known = INCOMPRESSIBLE_POLICIES.find((each) => each === policy);
  if (known === undefined) throw invalidArg('incompressible', "'keep', 'demote' or 'activate'", policy);
  return known;
}
