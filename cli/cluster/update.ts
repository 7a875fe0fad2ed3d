// `cluster update`
import { ShoalError } from '../../lib/errors.ts';
import { ClusterSettings } from '../../proto/index.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { flagReader, type FlagValues } from '../service/spec/flag-reader.ts';
import { SETTINGS } from './settings.ts';

/** After the first try, where somebody else changed the settings meanwhile. */
const CONFLICT_RETRIES = 2;

export async function run(context: VerbContext, _args: readonly string[], flags: FlagValues): Promise<undefined> {
  // Wrong flags are refused before anybody is asked.
  applySettings(ClusterSettings.create(), flags);
  const control = await context.control();
  for (let retries = 0; ; retries++) {
    const { cluster, version } = await control.read((client, call) => client.getCluster({}, call));
    const settings = applySettings(cluster?.settings ?? ClusterSettings.create(), flags);
    try {
      await named(() => control.write((client, call) => client.updateCluster({ version, settings }, call)));
      break;
    } catch (error) {
      if (ShoalError.from(error).code !== 'conflict' || retries === CONFLICT_RETRIES) throw error;
    }
  }
  context.shell.out.write('the cluster is updated\n');
}

function applySettings(before: ClusterSettings, values: FlagValues): ClusterSettings {
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
  flags.check('the cluster cannot be updated');
  if (!isChange) throw ShoalError.invalid('the cluster cannot be updated', [{ path: '', message: 'no setting is given; see --help' }]);
  return ClusterSettings.create(settings);
}

/** The manager names fields; people know their flags. */
async function named<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    const error = ShoalError.from(thrown);
    if (error.fields.length === 0) throw error;
    const fields = error.fields.map(({ path, message }) => ({ path: flagOf(path), message }));
    throw ShoalError.invalid('the cluster cannot be updated', fields);
  }
}

function flagOf(path: string): string {
  const found = SETTINGS.find(({ field }) => field === path);
  return found === undefined ? path : `--${found.flag}`;
}
