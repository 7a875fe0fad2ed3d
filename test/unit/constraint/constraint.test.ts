import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { matchesConstraint, parseConstraint, unknownKeyWarning } from '../../../manager/constraint/index.ts';
import { NodeRole } from '../../../proto/index.ts';
import { makeNode } from '../../support/placement.ts';

const { node, status } = makeNode({
  id: 'node1',
  role: NodeRole.MANAGER,
  labels: { zone: 'EU-1', empty: '' },
  engineLabels: { gpu: 'yes' },
  arch: 'aarch64',
  address: '10.1.2.3',
});

function matches(text: string): boolean {
  const parsed = parseConstraint(text);
  assert.ok(parsed.ok, text);
  return matchesConstraint(parsed.constraint, node, status);
}

function problemOf(text: string): string {
  const parsed = parseConstraint(text);
  assert.ok(!parsed.ok, text);
  return parsed.problem;
}

describe('constraints', () => {
  it('compare whole values, case-insensitively, blanks aside', () => {
    for (const text of [
      'node.id==node1',
      'node.hostname == HOST-node1',
      'node.role==Manager',
      'Node.Role!=worker',
      'node.platform.os==linux',
      'node.labels.zone==eu-1',
      'engine.labels.gpu==YES',
      'node.labels.zone!=eu',
    ]) {
      assert.ok(matches(text), text);
    }
    assert.ok(!matches('node.labels.zone==EU'));
    assert.ok(!matches('node.labels.Zone==EU-1'), 'label names are case-sensitive');
  });

  it('know architectures by both of their names', () => {
    assert.ok(matches('node.platform.arch==arm64'));
    assert.ok(matches('node.platform.arch==aarch64'));
    assert.ok(!matches('node.platform.arch==amd64'));
  });

  it('take addresses and ranges', () => {
    assert.ok(matches('node.ip==10.1.2.3'));
    assert.ok(matches('node.ip==10.1.0.0/16'));
    assert.ok(matches('node.ip!=fd00::/8'));
    assert.ok(!matches('node.ip==10.2.0.0/16'));
  });

  it('let a missing value fail == and pass !=', () => {
    assert.ok(!matches('node.labels.none==x'));
    assert.ok(matches('node.labels.none!=x'));
    assert.ok(!matches('node.labels.constructor==x'));
  });

  it('match no node by an unknown key', () => {
    assert.ok(!matches('node.colour==red'));
    assert.ok(!matches('node.colour!=red'));
  });

  it('are refused with the reason where malformed', () => {
    assert.match(problemOf('node.role'), /no operator/);
    assert.match(problemOf('node.role=manager'), /no operator/);
    assert.match(problemOf('==x'), /no key/);
    assert.match(problemOf('node.role=='), /no value/);
    assert.match(problemOf('no de==x'), /not a key/);
    assert.match(problemOf('node.labels.==x'), /names no label/);
    assert.match(problemOf('node.ip==10.0.0.0/33'), /neither an IP address/);
    assert.match(problemOf('node.id==a\nb'), /control characters/);
  });

  it('that name nothing that nodes have are warned of, with the nearest known key', () => {
    assert.match(unknownKeyWarning('node.label.ssd==1') ?? '', /node\.label\.ssd==1 matches no node.*did you mean node\.labels\.ssd\?/);
    assert.match(unknownKeyWarning('engine.lables.gpu!=1') ?? '', /did you mean engine\.labels\.gpu\?/);
    assert.match(unknownKeyWarning('node.hostnam==a') ?? '', /did you mean node\.hostname\?/);
    assert.match(unknownKeyWarning('color==red') ?? '', /nodes have no "color"; known are node\.id, .*node\.labels\.KEY/);
    for (const known of ['node.labels.ssd==1', 'NODE.ROLE==worker', 'node.ip!=10.0.0.1']) assert.equal(unknownKeyWarning(known), undefined);
  });
});
