// This program's version, as package.json says it.
import { readFileSync } from 'node:fs';
import { errnoOf } from './errors.ts';

/** "0.1.0" */
export const VERSION: string = readVersion();

function readVersion(): string {
  // Run from the sources, package.json is beside lib/; built, one above dist/.
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as { readonly version?: unknown };
      if (typeof parsed.version === 'string') return parsed.version;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return '0.0.0';
}
