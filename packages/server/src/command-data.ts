/**
 * What Redis 7.0.15 itself says about each command (arity, flags, keys, categories, documentation), read from data/commands.jsonl,
 * one line a command. `npm run -s record -w packages/server` writes that file.
 */
import { readFileSync } from 'node:fs';

export interface KeySpec {
  notes?: string;
  flags: string[];
  begin_search: { type: string; spec: Record<string, number | string> };
  find_keys: { type: string; spec: Record<string, number | string> };
}

/** One entry of COMMAND INFO. */
export type CommandInfo = [
  name: string,
  arity: number,
  flags: string[],
  firstKey: number,
  lastKey: number,
  keyStep: number,
  categories: string[],
  tips: string[],
  keySpecs: KeySpec[],
  subcommands: CommandInfo[],
];

export interface ArgumentDoc {
  name: string;
  type: string;
  key_spec_index?: number;
  token?: string;
  summary?: string;
  since?: string;
  deprecated_since?: string;
  flags?: string[];
  arguments?: ArgumentDoc[];
}

/** One entry of COMMAND DOCS. */
export interface CommandDoc {
  summary?: string;
  since?: string;
  group?: string;
  complexity?: string;
  doc_flags?: string[];
  deprecated_since?: string;
  replaced_by?: string;
  history?: [string, string][];
  arguments?: ArgumentDoc[];
  subcommands?: Record<string, CommandDoc>;
}

/** One line of the file: a command with its subcommands. */
export interface CommandData {
  info: CommandInfo;
  doc: CommandDoc;
}

const FILE = new URL('../data/commands.jsonl', import.meta.url);

export function loadCommandData(): CommandData[] {
  const lines = readFileSync(FILE, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as CommandData);
}
