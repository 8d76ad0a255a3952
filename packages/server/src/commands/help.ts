/** The reply of `X HELP`. */
import type { ReplyWriter } from '../resp/writer.ts';

export function replyHelp(container: string, lines: readonly string[], out: ReplyWriter): void {
  const all = [
    `${container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`,
    ...lines,
    'HELP',
    '    Prints this help.',
  ];
  out.array(all.length);
  for (const line of all) out.simple(line);
}
