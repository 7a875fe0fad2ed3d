import assert from 'node:assert/strict';
import { NO_RULES, portName, type PortRules, type Rules } from '../../../../mesh/kernel/rules.ts';
import { layoutName, removalScript, scriptOf } from '../../../../mesh/kernel/script.ts';

const LAYOUT = { table: 'shoal_n', listen: [] };

function rulesWith(ports: readonly Partial<PortRules>[], more: Partial<Rules> = {}): Rules {
  const full = ports.map((port): PortRules => ({ transport: 'tcp', port: 80, slots4: [], slots6: [], ...port }));
  return { ...NO_RULES, ports: new Map(full.map((port) => [portName(port), port])), ...more };
}

const TWO = ['10.0.0.1 . 8000', '10.0.0.2 . 8000'];

describe('script for nft', () => {
  it('makes the table anew where it is not known what is there, in the one transaction', () => {
    const script = scriptOf(
      LAYOUT,
      undefined,
      rulesWith([{ slots4: TWO }], { locals: new Set(['172.17.0.2']), bridges: new Set(['docker0']) }),
    );
    const lines = script.trimEnd().split('\n');
    assert.deepEqual(lines.slice(0, 3), ['add table inet shoal_n', 'delete table inet shoal_n', 'add table inet shoal_n']);
    assert.deepEqual(lines.slice(lines.indexOf(`add chain inet shoal_n ${layoutName(LAYOUT)}`) + 1), [
      'add element inet shoal_n locals4 { 172.17.0.2 }',
      'add element inet shoal_n bridges { "docker0" }',
      'add counter inet shoal_n tcp_80',
      'add map inet shoal_n tcp_80_4 { typeof numgen inc mod 4294967295 : ip daddr . tcp dport; }',
      'add map inet shoal_n tcp_80_6 { typeof numgen inc mod 4294967295 : ip6 daddr . tcp dport; }',
      'add chain inet shoal_n tcp_80',
      'add element inet shoal_n tcp_80_4 { 0 : 10.0.0.1 . 8000, 1 : 10.0.0.2 . 8000 }',
      'add rule inet shoal_n tcp_80 tcp flags & (fin | syn | rst | ack) != syn return',
      'add rule inet shoal_n tcp_80 meta nfproto ipv4 meta l4proto tcp counter name tcp_80 ct mark set ct mark or 0x08000000 ' +
        'dnat ip to numgen inc mod 2 map @tcp_80_4',
      'add element inet shoal_n ports { tcp . 80 : goto tcp_80 }',
    ]);
  });

  it('is empty where nothing changes', () => {
    assert.equal(scriptOf(LAYOUT, rulesWith([{ slots4: TWO }]), rulesWith([{ slots4: [...TWO] }])), '');
  });

  it('exchanges one target by one element, and touches no rule', () => {
    const before = rulesWith([{ slots4: TWO }, { port: 81, slots4: TWO }]);
    const after = rulesWith([{ slots4: TWO }, { port: 81, slots4: ['10.0.0.1 . 8000', '10.0.0.9 . 8000'] }]);
    assert.deepEqual(scriptOf(LAYOUT, before, after).trimEnd().split('\n'), [
      'delete element inet shoal_n tcp_81_4 { 1 : 10.0.0.2 . 8000 }',
      'add element inet shoal_n tcp_81_4 { 1 : 10.0.0.9 . 8000 }',
    ]);
  });

  it('leaves a port without targets to the listener', () => {
    assert.deepEqual(
      scriptOf(LAYOUT, rulesWith([{ slots4: TWO.slice(0, 1) }]), rulesWith([{}]))
        .trimEnd()
        .split('\n'),
      [
        'delete element inet shoal_n tcp_80_4 { 0 : 10.0.0.1 . 8000 }',
        'flush chain inet shoal_n tcp_80',
        'add rule inet shoal_n tcp_80 tcp flags & (fin | syn | rst | ack) != syn return',
      ],
    );
  });

  it('removes a port with all that belongs to it', () => {
    assert.deepEqual(
      scriptOf(LAYOUT, rulesWith([{ slots4: TWO }]), rulesWith([]))
        .trimEnd()
        .split('\n'),
      [
        'delete element inet shoal_n ports { tcp . 80 }',
        'flush chain inet shoal_n tcp_80',
        'delete chain inet shoal_n tcp_80',
        'delete map inet shoal_n tcp_80_4',
        'delete map inet shoal_n tcp_80_6',
        'delete counter inet shoal_n tcp_80',
      ],
    );
  });

  it('answers on chosen addresses only, where there are some', () => {
    const script = scriptOf({ table: 'shoal_n', listen: ['192.0.2.1'] }, undefined, NO_RULES);
    assert.match(script, /meta nfproto ipv4 ip daddr != \{ 192\.0\.2\.1, 0\.0\.0\.0 \} return/);
    assert.doesNotMatch(script, /fib daddr/);
    assert.notEqual(layoutName({ table: 'shoal_n', listen: ['192.0.2.1'] }), layoutName(LAYOUT));
  });

  it('removes a table whether or not it is there', () => {
    assert.equal(removalScript('shoal_n'), 'add table inet shoal_n\ndelete table inet shoal_n\n');
  });
});
