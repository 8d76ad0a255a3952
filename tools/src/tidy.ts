/** `npm run tidy`: the rules of the house that neither the compiler nor Biome knows. Each is in `tidy/`, its limits in `tidy/policy.ts`. */
import { join } from 'node:path';
import { RULES, tidy } from './tidy/rules.ts';
import { countLines } from './tidy/sizes.ts';
import { readTree } from './tidy/tree.ts';

const FILE_LINES_AIM = 200;

const tree = readTree(join(import.meta.dirname, '../..'));
const findings = tidy(tree);
const long = [...tree.sources.values()].filter(({ text }) => countLines(text) > FILE_LINES_AIM);
for (const finding of findings) console.log(finding);
console.log(
  `tidy: ${RULES.length} rules, ${tree.files.size} files, ${findings.length} findings; ${long.length} files above ${FILE_LINES_AIM} lines`,
);
process.exitCode = findings.length === 0 ? 0 : 1;
