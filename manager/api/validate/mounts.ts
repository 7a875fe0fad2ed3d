// Mounts: which fields go with which type, and that no two share a place.
import { type Mount, MountType } from '../../../proto/index.ts';
import { checkCount, checkEnum, checkListLength, checkMap, checkText, type Report } from './report.ts';
import type { TemplateCheck } from './templates.ts';

const MAX_MOUNTS = 100;
/** Beyond any machine: such a number is a mistake in the unit. */
const MAX_TMPFS_BYTES = 64 * 1024 ** 4;
/** PATH_MAX of Linux. */
const MAX_PATH_LENGTH = 4096;
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const PROPAGATIONS = ['rprivate', 'private', 'rshared', 'shared', 'rslave', 'slave'];

export function checkMounts(mounts: readonly Mount[], report: Report, checkTemplate: TemplateCheck): void {
  checkListLength('task.container.mounts', mounts, MAX_MOUNTS, report);
  const targets = new Map<string, string>();
  mounts.slice(0, MAX_MOUNTS).forEach((mount, index) => {
    const path = `task.container.mounts[${index}]`;
    checkEnum(`${path}.type`, mount.type, MountType, report);
    checkTarget(path, mount.target, report);
    const other = targets.get(mount.target);
    if (other === undefined) targets.set(mount.target, path);
    else report(`${path}.target`, `"${mount.target}" is the target of ${other} too`);
    checkText(`${path}.source`, mount.source, MAX_PATH_LENGTH, report);
    if (mount.type !== MountType.TMPFS) checkTemplate(`${path}.source`, mount.source);
    checkSource(path, mount, report);
    checkOptions(path, mount, report);
  });
}

function checkTarget(path: string, target: string, report: Report): void {
  checkText(`${path}.target`, target, MAX_PATH_LENGTH, report);
  if (target === '') report(`${path}.target`, 'a path in the container is needed');
  else if (!target.startsWith('/')) report(`${path}.target`, `"${target}" must be an absolute path`);
  else if (target.includes('{{')) report(`${path}.target`, 'templates are not filled in here, only in the source of a mount');
  else if (/^\/+$/.test(target)) report(`${path}.target`, 'the root of the container cannot be mounted over');
}

function checkSource(path: string, { type, source }: Mount, report: Report): void {
  const templated = source.includes('{{');
  switch (type) {
    case MountType.BIND:
      if (source === '') report(`${path}.source`, 'a bind mount needs a path on the node');
      else if (!source.startsWith('/') && !templated) report(`${path}.source`, `"${source}" must be an absolute path on the node`);
      return;
    case MountType.VOLUME:
      if (source !== '' && !templated && !VOLUME_NAME.test(source)) {
        report(`${path}.source`, `"${source}" is not a volume's name: letters, digits, _ . -; for a path on the node use type=bind`);
      }
      return;
    case MountType.TMPFS:
      if (source !== '') report(`${path}.source`, 'a tmpfs has no source');
      return;
  }
}

function checkOptions(path: string, mount: Mount, report: Report): void {
  const { type, propagation } = mount;
  if (propagation !== '' && type !== MountType.BIND) report(`${path}.propagation`, 'goes with type=bind only');
  else if (propagation !== '' && !PROPAGATIONS.includes(propagation)) {
    report(`${path}.propagation`, `"${propagation}" is not one of ${PROPAGATIONS.join(', ')}`);
  }
  const hasVolumeOptions =
    mount.volumeNoCopy ||
    mount.volumeDriver !== '' ||
    Object.keys(mount.volumeLabels).length > 0 ||
    Object.keys(mount.volumeOptions).length > 0;
  if (hasVolumeOptions && type !== MountType.VOLUME) report(path, 'volume options go with type=volume only');
  checkText(`${path}.volumeDriver`, mount.volumeDriver, 255, report);
  checkMap(`${path}.volumeLabels`, mount.volumeLabels, report);
  checkMap(`${path}.volumeOptions`, mount.volumeOptions, report);
  checkTmpfs(path, mount, report);
}

function checkTmpfs(path: string, { type, tmpfsSizeBytes, tmpfsMode }: Mount, report: Report): void {
  if (type === MountType.TMPFS) {
    checkCount(`${path}.tmpfsSizeBytes`, tmpfsSizeBytes, MAX_TMPFS_BYTES, report);
    if (!Number.isSafeInteger(tmpfsMode) || tmpfsMode < 0 || tmpfsMode > 0o7777)
      report(`${path}.tmpfsMode`, `${tmpfsMode} is not a file mode: 0 to 4095 (octal 7777)`);
    return;
  }
  if (tmpfsSizeBytes !== 0) report(`${path}.tmpfsSizeBytes`, `${tmpfsSizeBytes} goes with type=tmpfs only`);
  if (tmpfsMode !== 0) report(`${path}.tmpfsMode`, `${tmpfsMode} goes with type=tmpfs only`);
}
