import assert from 'node:assert/strict';
import { busyOf } from '../../../../mesh/kernel/flows.ts';

const KEYS = new Set(['tcp 172.17.0.2 . 80', 'udp fd00::2 . 53', 'tcp 172.17.0.3 . 80']);
const MARKED = 'mark=134217728';

/** As /proc/net/nf_conntrack has it. */
function line(state: string, host: string, end = MARKED): string {
  return (
    `ipv4     2 tcp      6 431999 ${state} src=10.0.0.9 dst=10.0.0.1 sport=4444 dport=8080 src=${host} dst=10.0.0.9 sport=80 dport=4444 ` +
    `[ASSURED] ${end} zone=0 use=2`
  );
}

describe('open connections in conntrack', () => {
  it('are those that the kernel path has mapped to the address', () => {
    assert.deepEqual([...busyOf([line('ESTABLISHED', '172.17.0.2')], KEYS)], ['tcp 172.17.0.2 . 80']);
    assert.deepEqual([...busyOf([line('FIN_WAIT', '172.17.0.2'), line('SYN_SENT', '172.17.0.3')], KEYS)].length, 2);
    assert.deepEqual([...busyOf([line('ESTABLISHED', '172.17.0.9')], KEYS)], []);
  });

  it('have our mark, perhaps beside that of others', () => {
    assert.deepEqual([...busyOf([line('ESTABLISHED', '172.17.0.2', 'mark=0')], KEYS)], []);
    assert.deepEqual([...busyOf([line('ESTABLISHED', '172.17.0.2', '')], KEYS)], []);
    assert.equal(busyOf([line('ESTABLISHED', '172.17.0.2', 'mark=134217735')], KEYS).size, 1);
  });

  it('have not ended on both sides', () => {
    assert.deepEqual([...busyOf([line('TIME_WAIT', '172.17.0.2'), line('CLOSE', '172.17.0.3')], KEYS)], []);
    assert.equal(busyOf([line('CLOSE_WAIT', '172.17.0.2')], KEYS).size, 1);
  });

  it('may be flows of datagrams, with addresses in full length', () => {
    const flow =
      'ipv6 10 udp 17 25 src=fd00:0000:0000:0000:0000:0000:0000:0009 dst=fd00:0000:0000:0000:0000:0000:0000:0001 sport=5 dport=53 ' +
      `src=fd00:0000:0000:0000:0000:0000:0000:0002 dst=fd00:0000:0000:0000:0000:0000:0000:0001 sport=53 dport=5 ${MARKED} zone=0 use=2`;
    assert.deepEqual([...busyOf([flow], KEYS)], ['udp fd00::2 . 53']);
  });
});
