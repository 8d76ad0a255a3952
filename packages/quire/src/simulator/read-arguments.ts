/**
 * What `read` makes of the command line. `--help` prints the usage and ends the process; arguments that `read` refuses
 * with a TypeError, as `parseArgs` does, end it with status 1, the reason and the usage.
 */
export function readArguments<T>(usage: string, read: () => T): T {
  if (process.argv.includes('--help')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`${error.message}\n${usage}`);
    process.exit(1);
  }
}
