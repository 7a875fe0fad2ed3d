// --mount, --mount-add, --mount-rm and --tmpfs.
import { parseSizeBytes } from '../../../lib/units.ts';
import { Mount, MountType } from '../../../proto/index.ts';
import { parseCsv, splitKeyValue } from './csv.ts';
import type { FlagReader } from './flag-reader.ts';

const TYPES: Readonly<Record<string, MountType>> = { volume: MountType.VOLUME, bind: MountType.BIND, tmpfs: MountType.TMPFS };
const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'];

/** A mount at the same target replaces the one there; two new ones at one target are a problem. */
export function applyMounts(mounts: readonly Mount[], flags: FlagReader): readonly Mount[] {
  const fresh = [...parsedMounts(flags.added('mount'), parseMount, flags), ...parsedMounts(flags.list('tmpfs'), parseTmpfs, flags)];
  const seen = new Set<string>();
  for (const { target, flag } of fresh.map(({ mount, flag: from }) => ({ target: mount.target, flag: from }))) {
    if (seen.has(target)) flags.problem(flag, `two mounts at ${target}`);
    seen.add(target);
  }
  const gone = new Set([...flags.removed('mount').values, ...seen]);
  return [...mounts.filter((mount) => !gone.has(mount.target)), ...fresh.map(({ mount }) => mount)];
}

function parsedMounts(
  given: { readonly flag: string; readonly values: readonly string[] },
  parse: (text: string) => Mount | string,
  flags: FlagReader,
): readonly { readonly mount: Mount; readonly flag: string }[] {
  return given.values.flatMap((text) => {
    const mount = parse(text);
    if (typeof mount !== 'string') return [{ mount, flag: given.flag }];
    flags.problem(given.flag, mount);
    return [];
  });
}

/** Docker's CSV syntax, or what is wrong with it. */
export function parseMount(text: string): Mount | string {
  const fields = parseCsv(text);
  if (fields === undefined) return `"${text}": a quote is not closed`;
  let mount = Mount.create();
  const keys = new Set<string>();
  for (const field of fields) {
    const [key, value] = splitKeyValue(field.trim());
    const changed = withField(mount, key.toLowerCase(), value);
    if (typeof changed === 'string') return `"${text}": ${changed}`;
    mount = changed;
    keys.add(key.toLowerCase());
  }
  return contradiction(text, mount, keys) ?? mount;
}

function withField(mount: Mount, key: string, value: string | undefined): Mount | string {
  if (key === 'readonly' || key === 'ro') {
    const readOnly = flagValue(value);
    return readOnly === undefined ? `${key} is true or false` : { ...mount, readOnly };
  }
  if (key === 'volume-nocopy') {
    const volumeNoCopy = flagValue(value);
    return volumeNoCopy === undefined ? `${key} is true or false` : { ...mount, volumeNoCopy };
  }
  if (value === undefined) return `"${key}" needs a value: ${key}=...`;
  switch (key) {
    case 'type': {
      const type = TYPES[value.toLowerCase()];
      return type === undefined ? `"${value}" is not a type: volume, bind or tmpfs` : { ...mount, type };
    }
    case 'source':
    case 'src':
      return { ...mount, source: value };
    case 'target':
    case 'dst':
    case 'destination':
      return { ...mount, target: value };
    case 'bind-propagation':
      return PROPAGATIONS.includes(value) ? { ...mount, propagation: value } : `"${value}" is not one of ${PROPAGATIONS.join(', ')}`;
    case 'volume-label':
      return { ...mount, volumeLabels: { ...mount.volumeLabels, ...pair(value) } };
    case 'volume-driver':
      return { ...mount, volumeDriver: value };
    case 'volume-opt':
      return { ...mount, volumeOptions: { ...mount.volumeOptions, ...pair(value) } };
    case 'tmpfs-size': {
      const tmpfsSizeBytes = parseSizeBytes(value);
      return tmpfsSizeBytes === undefined ? `"${value}" is not a size such as 64m` : { ...mount, tmpfsSizeBytes };
    }
    case 'tmpfs-mode': {
      const tmpfsMode = parseOctal(value);
      return tmpfsMode === undefined ? `"${value}" is not a mode such as 1777` : { ...mount, tmpfsMode };
    }
    case 'consistency':
      return mount;
    default:
      return `"${key}" is not known`;
  }
}

function contradiction(text: string, mount: Mount, keys: ReadonlySet<string>): string | undefined {
  if (mount.target === '') return `"${text}" names no target: target=/data`;
  if (!mount.target.startsWith('/') && !mount.target.includes('{{')) return `"${text}": the target ${mount.target} is not an absolute path`;
  const wrongFor = (prefix: string): boolean => [...keys].some((key) => key.startsWith(prefix));
  if (mount.type !== MountType.VOLUME && wrongFor('volume-')) return `"${text}": volume- settings need type=volume`;
  if (mount.type !== MountType.BIND && wrongFor('bind-')) return `"${text}": bind- settings need type=bind`;
  if (mount.type !== MountType.TMPFS && wrongFor('tmpfs-')) return `"${text}": tmpfs- settings need type=tmpfs`;
  if (mount.type === MountType.BIND && !mount.source.startsWith('/') && !mount.source.includes('{{'))
    return `"${text}": a bind mount needs an absolute path of the host as its source`;
  if (mount.type === MountType.TMPFS && mount.source !== '') return `"${text}": a tmpfs has no source`;
  return undefined;
}

/** Docker's --tmpfs: /path[:size=64m,mode=1777,ro]; or what is wrong with it. */
export function parseTmpfs(text: string): Mount | string {
  const [target = '', options = ''] = text.split(/:(.*)/s);
  if (!target.startsWith('/')) return `"${text}" is not an absolute path such as /run or /run:size=64m`;
  let mount = Mount.create({ type: MountType.TMPFS, target });
  for (const option of options === '' ? [] : options.split(',')) {
    const [key, value = ''] = splitKeyValue(option);
    if (key === 'size') {
      const tmpfsSizeBytes = parseSizeBytes(value);
      if (tmpfsSizeBytes === undefined) return `"${text}": "${value}" is not a size such as 64m`;
      mount = { ...mount, tmpfsSizeBytes };
    } else if (key === 'mode') {
      const tmpfsMode = parseOctal(value);
      if (tmpfsMode === undefined) return `"${text}": "${value}" is not a mode such as 1777`;
      mount = { ...mount, tmpfsMode };
    } else if (key === 'ro' || key === 'rw') {
      mount = { ...mount, readOnly: key === 'ro' };
    } else {
      return `"${text}": "${key}" is not one of size, mode, ro, rw`;
    }
  }
  return mount;
}

function flagValue(value: string | undefined): boolean | undefined {
  if (value === undefined || value === 'true' || value === '1') return true;
  return value === 'false' || value === '0' ? false : undefined;
}

function parseOctal(text: string): number | undefined {
  return /^[0-7]{3,5}$/.test(text) ? parseInt(text, 8) : undefined;
}

function pair(text: string): Readonly<Record<string, string>> {
  const [key, value = ''] = splitKeyValue(text);
  return { [key]: value };
}
