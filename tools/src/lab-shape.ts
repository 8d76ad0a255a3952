/** `lab-shape NAME FILE`: checks that FILE is what `lab NAME --json` promises, and prints its ratios and absent columns. */
import { readFileSync } from 'node:fs';
import { describeReport, shapeProblems } from './lab/report-shape.ts';

const [name, file] = process.argv.slice(2);
if (name === undefined || file === undefined) {
  console.error('usage: lab-shape NAME FILE');
  process.exit(2);
}
const text = readFileSync(file, 'utf8');
const problems = shapeProblems(name, text);
for (const problem of problems) console.error(`lab ${name}: ${problem}`);
if (problems.length === 0) console.log(describeReport(text));
else process.exitCode = 1;
