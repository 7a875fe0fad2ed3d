// `cluster update`
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { ClusterSettings } from '../../proto/index.ts';
import { refuseAll } from '../command-line/refusal.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { flagReader, type FlagValues } from '../service/spec/flag-reader.ts';
import { SETTINGS } from './settings.ts';

/** After the first try, where somebody else changed the settings meanwhile. */
const CONFLICT_RETRIES = 2;
const REFUSAL = 'the cluster cannot be updated';

export async function run(context: VerbContext, _args: readonly string[], flags: FlagValues): Promise<undefined> {
  const { problems, isChange } = applySettings(ClusterSettings.create(), flags);
  if (problems.length === 0 && !isChange) throw new ShoalError('invalid_argument', `${REFUSAL}: no setting is given; see --help`);
  const control = await context.control();
  if (problems.length > 0) {
    await refuseAll(REFUSAL, problems, async () => {
      const { cluster } = await control.read((client, call) => client.getCluster({}, call));
      const { settings } = applySettings(cluster?.settings ?? ClusterSettings.create(), flags);
      await named(() => control.read((client, call) => client.updateCluster({ version: 0, settings, checkOnly: true }, call)));
    });
  }
  for (let retries = 0; ; retries++) {
    const { cluster, version } = await control.read((client, call) => client.getCluster({}, call));
    const { settings } = applySettings(cluster?.settings ?? ClusterSettings.create(), flags);
    try {
      await named(() => control.write((client, call) => client.updateCluster({ version, settings, checkOnly: false }, call)));
      break;
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES) throw error;
    }
  }
  context.shell.out.write('the cluster is updated\n');
}

interface Applied {
  readonly settings: ClusterSettings;
  readonly problems: readonly FieldProblem[];
  readonly isChange: boolean;
}

function applySettings(before: ClusterSettings, values: FlagValues): Applied {
  const flags = flagReader(values, 'update');
  const reset = flags.list('reset').values;
  for (const name of reset) {
    if (!SETTINGS.some(({ flag }) => flag === name))
      flags.problem('--reset', `"${name}" is not one of ${SETTINGS.map(({ flag }) => flag).join(', ')}`);
  }
  const settings: Record<string, number | undefined> = { ...before };
  let isChange = reset.length > 0;
  for (const { field, flag, kind } of SETTINGS) {
    const given = kind === 'count' ? flags.count(flag) : flags.durationMs(flag);
    if (given !== undefined && reset.includes(flag)) flags.problem(`--${flag}`, 'is given and reset at once');
    if (given !== undefined) isChange = true;
    settings[field] = reset.includes(flag) ? undefined : (given ?? before[field]);
  }
  return { settings: ClusterSettings.create(settings), problems: flags.problems, isChange };
}

/** The manager names fields; people know their flags. */
async function named<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.fields.length === 0) throw error;
    const fields = error.fields.map(({ path, message }) => ({ path: flagOf(path), message }));
    throw ShoalError.invalid(REFUSAL, fields);
  }
}

function flagOf(path: string): string {
  const found = SETTINGS.find(({ field }) => field === path);
  return found === undefined ? path : `--${found.flag}`;
}
