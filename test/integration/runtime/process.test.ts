// Plain processes: the conformance suite, and what is peculiar to them.
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProcessRuntime } from '../../../agent/runtime/process/index.ts';
import { type Runtime } from '../../../agent/runtime/runtime.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { conformance } from './conformance.ts';

describe('process runtime', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'shoal-process-'));
  });
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  const create = (): Runtime =>
    createProcessRuntime({
      directory,
      dataAddress: '127.0.0.1',
      nodeId: 'node1',
      clusterId: 'cluster1',
      clock: systemClock,
      log: silentLogger,
    });

  conformance(() => ({ create, image: 'process', dataAddress: '127.0.0.1', httpGet }));
});

function httpGet(port: number, path: string): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve(body));
    });
    request.on('error', () => resolve(''));
  });
}
