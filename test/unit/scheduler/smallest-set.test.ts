import assert from 'node:assert/strict';
import { smallestSet } from '../../../manager/scheduler/smallest-set.ts';
import type { TaskDemand } from '../../../manager/scheduler/index.ts';

function task(taskId: string, nanoCpus: number, memoryBytes: number, priority = 0): TaskDemand {
  return { taskId, serviceId: taskId, specNumber: 1, nodeId: 'n', nanoCpus, memoryBytes, hostPorts: [], priority };
}

function freeing(nanoCpus: number, memoryBytes = 0) {
  return (leaving: readonly TaskDemand[]): boolean =>
    leaving.reduce((sum, one) => sum + one.nanoCpus, 0) >= nanoCpus &&
    leaving.reduce((sum, one) => sum + one.memoryBytes, 0) >= memoryBytes;
}

function ids(set: readonly TaskDemand[] | undefined): readonly string[] | undefined {
  return set?.map(({ taskId }) => taskId);
}

describe('the smallest set of tasks that make room', () => {
  it('is not misled by large tasks that free the wrong thing', () => {
    assert.deepEqual(ids(smallestSet([task('a', 1, 100), task('b', 1, 90), task('c', 2, 0)], freeing(2))), ['c']);
    assert.deepEqual(ids(smallestSet([task('a', 5, 0), task('b', 0, 5), task('c', 2, 2)], freeing(2, 2))), ['c']);
  });

  it('is that of the lowest priorities among those of one size', () => {
    assert.deepEqual(ids(smallestSet([task('a', 2, 0, 5), task('b', 2, 0, 1), task('c', 2, 0, 3)], freeing(2))), ['b']);
    assert.deepEqual(ids(smallestSet([task('a', 1, 0, 5), task('b', 1, 0, 1), task('c', 1, 0, 3)], freeing(2))), ['b', 'c']);
  });

  it('is empty where there is room, and there is none where all together do not make any', () => {
    assert.deepEqual(smallestSet([task('a', 1, 0)], freeing(0)), []);
    assert.equal(smallestSet([task('a', 1, 0)], freeing(2)), undefined);
  });

  it('among very many is still one from which nobody can be left out', () => {
    const many = Array.from({ length: 500 }, (_, index) => task(`t${index}`, 1 + (index % 3), 0, index % 7));
    const set = smallestSet(many, freeing(100)) ?? assert.fail();
    assert.ok(freeing(100)(set));
    for (const one of set) assert.ok(!freeing(100)(set.filter((other) => other !== one)));
  });
});
