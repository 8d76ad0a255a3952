/** What `lab NAME --json` prints: one object, nothing else on standard output, every ratio a finite number. */
const FIELDS = ['name', 'machine', 'commit', 'rows', 'ratios'];

type Fields = Record<string, unknown>;

export function shapeProblems(name: string, text: string): string[] {
  const report = parse(text);
  if (report === undefined)
    return [`printed something other than one JSON object: ${JSON.stringify(text.slice(0, 80))}`];
  const problems: string[] = [];
  if (Object.keys(report).sort().join() !== [...FIELDS].sort().join())
    problems.push(`has the fields ${Object.keys(report).join(', ')}`);
  if (report['name'] !== name) problems.push(`is named ${JSON.stringify(report['name'])}`);
  if (!isFilled(report['machine'])) problems.push('does not describe its machine');
  if (typeof report['commit'] !== 'string' || report['commit'] === '') problems.push('does not name its commit');
  return [...problems, ...rowProblems(report['rows']), ...ratioProblems(report['ratios'])];
}

/** The ratios, and why columns are absent, in a few lines. Only for a report without problems. */
export function describeReport(text: string): string {
  const report = parse(text) ?? {};
  const ratios = Object.entries(report['ratios'] as Record<string, number>).map(
    ([name, ratio]) => `${name} = ${ratio}`,
  );
  const absent = (report['rows'] as Fields[])
    .filter((row) => row['metric'] === 'absent')
    .map((row) => `column ${row['column']} is absent: ${row['reason']}`);
  return [`${report['name']}: ${ratios.join(', ') || 'no ratios'}`, ...absent].join('\n');
}

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function rowProblems(rows: unknown): string[] {
  if (!Array.isArray(rows) || rows.length === 0) return ['has no rows'];
  return rows.every(isFields) ? [] : ['has a row that is not an object'];
}

function ratioProblems(ratios: unknown): string[] {
  if (!isFields(ratios)) return ['has no ratios'];
  return Object.entries(ratios)
    .filter(([, ratio]) => typeof ratio !== 'number' || !Number.isFinite(ratio))
    .map(([name, ratio]) => `has the ratio ${name} = ${JSON.stringify(ratio)}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFilled(value: unknown): boolean {
  return typeof value === 'string' ? value !== '' : isFields(value) && Object.keys(value).length > 0;
}
