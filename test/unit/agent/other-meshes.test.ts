import assert from 'node:assert/strict';
import { meshOfArguments } from '../../../agent/mesh/other-meshes.ts';

describe('meshes found by their command lines', () => {
  it('are those that an agent launched, whatever program runs them', () => {
    const args = [
      '/usr/bin/node',
      '--import',
      'tsx',
      '/opt/main.ts',
      'mesh',
      '--data-dir',
      '/var/a/mesh',
      '--node-id',
      'n1',
      '--port-offset',
      '5',
    ];
    assert.deepEqual(meshOfArguments(args), { nodeId: 'n1', dataDir: '/var/a/mesh' });
  });

  it('are nothing else', () => {
    const others = [
      ['node', 'main.js', 'agent', '--data-dir', '/var/a'],
      ['node', 'main.js', 'mesh', '--data-dir', 'mesh', '--node-id', 'n1'],
      ['node', 'main.js', 'mesh', '--data-dir', '/var/a/mesh', '--node-id', ''],
      ['grep', 'mesh'],
      [],
    ];
    for (const args of others) assert.equal(meshOfArguments(args), undefined, args.join(' '));
  });
});
