import type { Finding, Tree } from './tree.ts';

interface Locked {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Record<string, string>;
}

/**
 * The lock file works on every machine and with every registry: it names no host, and it has an entry for each optional dependency.
 * Packages with a binary per platform list those as optional; when the registry at hand lacked one, npm leaves it out silently, and
 * `npm ci` then fails wherever it exists.
 */
export function checkLock({ lock }: Tree): Finding[] {
  if (lock === undefined) return [];
  const path = 'package-lock.json';
  const { packages } = JSON.parse(lock) as { packages: Record<string, Locked> };
  const names = new Set(Object.keys(packages).map((location) => location.split('node_modules/').at(-1)));
  return Object.entries(packages).flatMap(([location, entry]) => {
    const lacking = Object.keys(entry.optionalDependencies ?? {}).filter((name) => !names.has(name));
    const findings = lacking.map((name) => ({ path, message: `lacks ${name}, which ${location} may need` }));
    if (/^\w+:\/\//.test(entry.resolved ?? ''))
      findings.push({ path, message: `names a host for ${location}, ${entry.resolved}` });
    return findings;
  });
}
