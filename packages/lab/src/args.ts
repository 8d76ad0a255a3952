/** The command line: `lab NAME [--quick] [--json] [--out FILE] [--record DIR] [--trace FILE]`, or `lab --list`. */

export interface Args {
  readonly name: string;
  readonly quick: boolean;
  readonly json: boolean;
  /** A file that also receives what is printed on standard output. */
  readonly out: string | null;
  /** Of `policy` alone: a folder that receives the traces it records; a file with one to replay instead. */
  readonly record: string | null;
  readonly trace: string | null;
}

/** The benchmark that replays traces. */
const WITH_TRACES = 'policy';

export type Parsed =
  | { readonly kind: 'run'; readonly args: Args }
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | { readonly kind: 'wrong'; readonly line: string };

/** @param names the benchmarks there are. Never throws: a wrong line is an outcome. */
export function parseArgs(argv: readonly string[], names: readonly string[]): Parsed {
  const positional: string[] = [];
  let quick = false;
  let json = false;
  const files: Record<string, string | null> = { '--out': null, '--record': null, '--trace': null };
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index];
    if (word === '--help' || word === '-h') return { kind: 'help' };
    if (word === '--list') return { kind: 'list' };
    if (word === '--quick') quick = true;
    else if (word === '--json') json = true;
    else if (Object.hasOwn(files, word)) {
      index += 1;
      if (index >= argv.length || argv[index].startsWith('-')) return wrong(`${word} needs a file name`);
      files[word] = argv[index];
    } else if (word.startsWith('-'))
      return wrong(
        `unknown flag ${word} (known: --quick, --json, ${Object.keys(files).join(' FILE, ')} FILE, --list, --help)`,
      );
    else positional.push(word);
  }
  if (positional.length === 0) return wrong(`name a benchmark: ${names.join(', ')}`);
  if (positional.length > 1) return wrong(`one benchmark at a time, not ${positional.join(' and ')}`);
  const name = positional[0];
  if (!names.includes(name)) return wrong(`unknown benchmark ${name} (known: ${names.join(', ')})`);
  const { '--out': out, '--record': record, '--trace': trace } = files;
  if ((record !== null || trace !== null) && name !== WITH_TRACES)
    return wrong(`--record and --trace are for ${WITH_TRACES}, not ${name}`);
  if (record !== null && trace !== null) return wrong('--trace records nothing: not with --record');
  return { kind: 'run', args: { name, quick, json, out, record, trace } };
}

function wrong(line: string): Parsed {
  return { kind: 'wrong', line: `lab: ${line}` };
}
