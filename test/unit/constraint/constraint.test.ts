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

  it('take one of several values, or none of them', () => {
    assert.ok(matches('node.labels.zone in (eu-2, EU-1)'));
    assert.ok(!matches('node.labels.zone notin (eu-2, EU-1)'));
    assert.ok(matches('node.labels.zone notin (eu-2)'));
    assert.ok(matches('node.labels.none NOTIN (a)'), 'a missing value is none of them');
    assert.ok(!matches('node.labels.none in (a)'));
    assert.ok(matches('node.ip in (10.2.0.0/16, 10.1.0.0/16)'));
    assert.ok(matches('node.platform.arch in(arm64)'));
  });

  it('ask whether there is a value at all', () => {
    assert.ok(matches('node.labels.zone exists'));
    assert.ok(matches('node.labels.empty exists'), 'an empty label is there');
    assert.ok(!matches('node.labels.none exists'));
    assert.ok(!matches('node.colour exists'));
  });

  it('hold if one of several alternatives does', () => {
    assert.ok(matches('node.labels.zone==eu-2 || node.role==manager'));
    assert.ok(matches('node.labels.none exists||node.labels.zone in (EU-1)||node.id==x'));
    assert.ok(!matches('node.labels.zone==eu-2 || node.colour!=red'));
  });

  it('take values in double quotes as they are', () => {
    const odd = makeNode({ id: 'odd', labels: { note: 'a || b, (c)' } });
    const parsed = parseConstraint('node.labels.note=="a || b, (c)" || node.id in ("x")');
    assert.ok(parsed.ok && matchesConstraint(parsed.constraint, odd.node, odd.status));
  });

  it('are refused with the reason and the position where malformed', () => {
    const cases: readonly (readonly [text: string, problem: RegExp, position: number])[] = [
      ['node.role', /"node.role" has no operator/, 10],
      ['node.role=manager', /"=manager" is no operator/, 10],
      ['node.role is manager', /"is" is no operator/, 11],
      ['==x', /no key before ==/, 1],
      ['node.role==', /no value after ==/, 12],
      ['1node==x', /"1node==x" is not a key/, 1],
      ['', /a constraint is missing/, 1],
      ['node.labels.==x', /"node.labels." names no label/, 1],
      ['node.ip==10.0.0.0/33', /neither an IP address nor a range/, 10],
      ['node.id==a\nb', /control characters/, 10],
      ['node.id==a || ', /a constraint is missing/, 15],
      ['node.id==a || role', /"role" has no operator/, 19],
      ['node.labels.a in b', /in needs its values in parentheses/, 18],
      ['node.labels.a in (b', /a \) is missing/, 20],
      ['node.labels.a in (b,)', /no value after in/, 21],
      ['node.labels.a notin (b) c', /nothing follows the \)/, 25],
      ['node.labels.a exists yes', /nothing follows "exists"/, 22],
      ['node.labels.a=="b', /a closing " is missing/, 16],
      ['node.labels.a=="b"c', /nothing follows a value in quotes/, 19],
    ];
    for (const [text, problem, position] of cases) {
      assert.match(problemOf(text), problem, text);
      assert.match(problemOf(text), new RegExp(`at character ${position} of`), text);
    }
  });

  it('that name nothing that nodes have are warned of, with the nearest known key', () => {
    assert.match(unknownKeyWarning('node.label.ssd==1') ?? '', /node\.label\.ssd==1 matches no node.*did you mean node\.labels\.ssd\?/);
    assert.match(unknownKeyWarning('engine.lables.gpu!=1') ?? '', /did you mean engine\.labels\.gpu\?/);
    assert.match(unknownKeyWarning('node.hostnam==a') ?? '', /did you mean node\.hostname\?/);
    assert.match(unknownKeyWarning('color==red') ?? '', /nodes have no "color"; known are node\.id, .*node\.labels\.KEY/);
    for (const known of ['node.labels.ssd==1', 'NODE.ROLE==worker', 'node.ip!=10.0.0.1']) assert.equal(unknownKeyWarning(known), undefined);
  });
});
