// Containers of a real Docker engine in a network namespace of its own: the conformance suite, and what is peculiar to engines.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { createDockerRuntime } from '../../../agent/runtime/docker/index.ts';
import { type Runtime } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRng } from '../../../lib/rng.ts';
import { startEngine, TEST_IMAGE, type TestEngine } from '../../support/engine.ts';
import { createHosts, type Host, type Hosts } from '../../support/hosts.ts';
import { requirement } from '../../support/requirements.ts';
import { conformance } from './conformance.ts';

describe('docker runtime', function () {
  this.timeout(60_000);
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
  const create = (): Runtime =>
    createDockerRuntime({
      socketPath: engine?.socketPath ?? '',
      nodeId: 'node1',
      clusterId: 'cluster1',
      clock: systemClock,
      rng: systemRng,
      log: silentLogger,
    });
  const httpGet = async (port: number, path: string): Promise<string> => {
    const script = 'require("http").get(process.argv[1], (answer) => answer.pipe(process.stdout))';
    try {
      return (await host.run(process.execPath, ['-e', script, `http://${host.address}:${port}${path}`])).stdout;
    } catch {
      return '';
    }
  };

  conformance(() => ({ create, image: TEST_IMAGE, dataAddress: host.address, httpGet }));
});
