import { existsSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ContainerSpec, Mount, MountType } from '../../../proto/index.ts';
import { startEngine, TEST_IMAGE, type TestEngine } from '../../support/engine.ts';
import { createHosts, type Host, type Hosts } from '../../support/hosts.ts';
import { requirement } from '../../support/requirements.ts';
import { GRPC, HTTP, probes, SERVER, TCP } from './probes.ts';

describe('probes of containers', function () {
  this.timeout(90_000);
  let hosts: Hosts | undefined;
  let host: Host;
  let engine: TestEngine | undefined;
  before(async function () {
    requirement(this, 'docker');
    hosts = await createHosts(1);
    host = hosts.list[0] as Host;
    engine = await startEngine({ directory: mkdtempSync(join(tmpdir(), 'shoal-e-')), netns: host.namespace });
  });
  after(async () => {
    await engine?.stop();
    await hosts?.remove();
  });
  probes((file) => ({
    socketPath: engine?.socketPath ?? '',
    dataAddress: host.address,
    container: ContainerSpec.create({
      image: TEST_IMAGE,
      command: ['chroot', '/host', process.execPath, SERVER, file, String(HTTP), String(GRPC), String(TCP)],
      mounts: hostMounts(dirname(file)),
      stopGracePeriodMs: 1000,
    }),
    inTask: (path) => `/host${path}`,
    spawn: (command, args) => host.spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] }),
  }));
});

/** What the server needs of this machine, below /host: the whole of it cannot be mounted where the engine's own folder is in it. */
function hostMounts(...more: readonly string[]): readonly Mount[] {
  const root = join(import.meta.dirname, '..', '..', '..');
  const wanted = ['/usr', '/lib', '/lib64', dirname(process.execPath), root, realpathSync(join(root, 'node_modules')), ...more];
  const paths = wanted.filter((path) => existsSync(path) && !wanted.some((other) => path.startsWith(`${other}/`)));
  return paths.map((path) => Mount.create({ type: MountType.BIND, source: path, target: `/host${path}`, readOnly: true }));
}
