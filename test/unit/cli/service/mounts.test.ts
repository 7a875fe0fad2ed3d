import assert from 'node:assert/strict';
import { parseMount, parseTmpfs } from '../../../../cli/service/spec/mounts.ts';
import { Mount, MountType } from '../../../../proto/index.ts';

function problemOf(result: unknown): string {
  return typeof result === 'string' ? result : '';
}

describe('--mount', () => {
  const good: readonly (readonly [text: string, mount: Partial<Mount>])[] = [
    ['type=volume,source=data,target=/data', { source: 'data', target: '/data' }],
    ['src=data,dst=/data,ro', { source: 'data', target: '/data', readOnly: true }],
    ['source=data-{{.Task.Slot}},destination=/data,readonly=false', { source: 'data-{{.Task.Slot}}', target: '/data' }],
    [
      'type=bind,source=/a,"target=/b,c",bind-propagation=rshared',
      { type: MountType.BIND, source: '/a', target: '/b,c', propagation: 'rshared' },
    ],
    [
      'type=tmpfs,target=/run,tmpfs-size=64m,tmpfs-mode=1777',
      { type: MountType.TMPFS, target: '/run', tmpfsSizeBytes: 64 * 1024 ** 2, tmpfsMode: 0o1777 },
    ],
    [
      'target=/v,volume-nocopy,volume-driver=local,volume-opt=type=nfs,volume-opt=o=rw,volume-label=a=b',
      { target: '/v', volumeNoCopy: true, volumeDriver: 'local', volumeOptions: { type: 'nfs', o: 'rw' }, volumeLabels: { a: 'b' } },
    ],
  ];
  for (const [text, mount] of good) {
    it(`takes ${text}`, () => {
      assert.deepEqual(parseMount(text), Mount.create(mount));
    });
  }

  const bad: readonly (readonly [text: string, why: RegExp])[] = [
    ['type=volume,source=data', /names no target/],
    ['type=disk,target=/a', /"disk" is not a type/],
    ['target=data', /not an absolute path/],
    ['type=bind,source=a,target=/a', /absolute path of the host/],
    ['type=tmpfs,source=a,target=/a', /a tmpfs has no source/],
    ['type=bind,source=/a,target=/a,volume-nocopy', /need type=volume/],
    ['target=/a,tmpfs-size=1m', /need type=tmpfs/],
    ['target', /"target" needs a value/],
    ['target=/a,readonly=maybe', /true or false/],
    ['target=/a,colour=red', /"colour" is not known/],
  ];
  for (const [text, why] of bad) {
    it(`refuses ${text}`, () => {
      assert.match(problemOf(parseMount(text)), why);
    });
  }
});

describe('--tmpfs', () => {
  it('takes a path with options', () => {
    assert.deepEqual(
      parseTmpfs('/run:size=1m,mode=755,ro'),
      Mount.create({ type: MountType.TMPFS, target: '/run', tmpfsSizeBytes: 1024 ** 2, tmpfsMode: 0o755, readOnly: true }),
    );
  });

  it('refuses what is not one', () => {
    assert.match(problemOf(parseTmpfs('run')), /not an absolute path/);
    assert.match(problemOf(parseTmpfs('/run:size=big')), /not a size/);
    assert.match(problemOf(parseTmpfs('/run:noexec')), /"noexec" is not one of/);
  });
});
