// The flags of `shoal dev up`, read as a whole: every wrong one is named at once.
import type { Command } from 'commander';
import type { FieldProblem } from '../../lib/errors.ts';
import { usageError } from '../command-line/usage-error.ts';
import type { UpOptions } from './up.ts';

/** As commander gives them. */
export interface UpFlags {
  readonly store?: string;
  readonly runtime?: string;
  readonly nodes: string;
  readonly managerPort: string;
  readonly port: string;
  readonly demo?: boolean;
  readonly detach?: boolean;
}

export interface UpSettings extends Omit<UpOptions, 'publishedPorts'> {
  /** Published port of the demo. */
  readonly port: number;
  readonly demo: boolean;
  readonly detach: boolean;
}

const STORES = ['etcd', 'embedded'] as const;
const RUNTIMES = ['docker', 'process'] as const;
const MAX_NODES = 9;
const MAX_PORT = 65_535;

/** Throws `invalid_argument`. `unknown`: flags that it does not have. */
export function readUpFlags(command: Command, flags: UpFlags, unknown: readonly FieldProblem[] = []): UpSettings {
  const problems: FieldProblem[] = [...unknown];
  const numberOf = (path: string, text: string, most: number): number => {
    const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > most) problems.push({ path, message: `"${text}" is not a number from 1 to ${most}` });
    return value;
  };
  const oneOf = <T extends string>(path: string, text: string | undefined, choices: readonly T[]): T | undefined => {
    const choice = choices.find((each) => each === text);
    if (text !== undefined && choice === undefined) problems.push({ path, message: `"${text}" is not one of ${choices.join(', ')}` });
    return choice;
  };
  const settings: UpSettings = {
    store: oneOf('--store', flags.store, STORES),
    runtime: oneOf('--runtime', flags.runtime, RUNTIMES),
    nodes: numberOf('--nodes', flags.nodes, MAX_NODES),
    managerPort: numberOf('--manager-port', flags.managerPort, MAX_PORT),
    port: numberOf('--port', flags.port, MAX_PORT),
    demo: flags.demo === true,
    detach: flags.detach === true,
  };
  if (settings.demo && settings.port === settings.managerPort) problems.push({ path: '--port', message: 'is that of the manager, too' });
  if (problems.length > 0) throw usageError(command, problems);
  return settings;
}
