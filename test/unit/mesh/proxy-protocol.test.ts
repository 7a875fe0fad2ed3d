import assert from 'node:assert/strict';
import { type Ends, proxyHeader, SIGNATURE } from '../../../mesh/proxy-protocol/header.ts';
import { parseProxyHeader } from '../../../mesh/proxy-protocol/parser.ts';
import { trustedSources } from '../../../mesh/trusted-sources.ts';
import { ProxyProtocol } from '../../../proto/index.ts';

const FOUR: Ends = { source: { address: '192.0.2.7', port: 40_000 }, destination: { address: '198.51.100.1', port: 443 } };
const SIX: Ends = { source: { address: '2001:db8::7', port: 1 }, destination: { address: 'fe80::1%eth0', port: 65_535 } };
const { PROXY_PROTOCOL_V1: V1, PROXY_PROTOCOL_V2: V2 } = ProxyProtocol;

function read(header: Buffer | undefined): ReturnType<typeof parseProxyHeader> {
  return parseProxyHeader(Buffer.concat([header ?? Buffer.alloc(0), Buffer.from('GET /')]));
}

function block(command: number, family: number, payload: Buffer, length = payload.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(command, family, length >> 8, length & 255), payload]);
}

describe('the PROXY header', () => {
  it('of version 1 is one line, in the words of the specification', () => {
    assert.equal(proxyHeader(V1, FOUR)?.toString(), 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n');
    assert.equal(proxyHeader(V1, SIX)?.toString(), 'PROXY TCP6 2001:db8::7 fe80::1 1 65535\r\n');
    assert.equal(proxyHeader(V1, undefined)?.toString(), 'PROXY UNKNOWN\r\n');
    assert.equal(
      proxyHeader(V1, { ...SIX, source: FOUR.source })?.toString(),
      'PROXY TCP6 ::ffff:192.0.2.7 fe80::1 40000 65535\r\n',
      'one family for both ends',
    );
  });

  it('of version 2 is a block of bytes, as the specification draws it', () => {
    const four = proxyHeader(V2, FOUR)?.toString('hex');
    assert.equal(four, '0d0a0d0a000d0a515549540a' + '2111000c' + 'c0000207' + 'c6336401' + '9c40' + '01bb');
    const six = proxyHeader(V2, SIX)?.toString('hex');
    assert.equal(six, `0d0a0d0a000d0a515549540a2121002420010db8000000000000000000000007fe8000000000000000000000000000010001ffff`);
    assert.equal(proxyHeader(V2, undefined)?.toString('hex'), '0d0a0d0a000d0a515549540a20000000');
  });

  it('is not sent where none is asked for', () => {
    assert.equal(proxyHeader(ProxyProtocol.PROXY_PROTOCOL_NONE, FOUR), undefined);
  });

  it('is read back, and what follows it is left', () => {
    assert.deepEqual(read(proxyHeader(V1, FOUR)), { kind: 'header', bytes: 45, ends: FOUR });
    assert.deepEqual(read(proxyHeader(V2, FOUR)), { kind: 'header', bytes: 28, ends: FOUR });
    const six = read(proxyHeader(V2, SIX));
    assert.equal(six.kind === 'header' && six.ends?.source.address, '2001:db8:0:0:0:0:0:7');
    assert.deepEqual(read(proxyHeader(V2, undefined)), { kind: 'header', bytes: 16, ends: undefined });
  });

  it('may carry more than addresses in version 2, which is passed over', () => {
    const addresses = Buffer.from('c0000207c63364019c4001bb', 'hex');
    const parsed = read(block(0x21, 0x11, Buffer.concat([addresses, Buffer.alloc(500)])));
    assert.deepEqual(parsed, { kind: 'header', bytes: 528, ends: FOUR });
  });

  it('of a health check, of a Unix socket or of no family names nobody', () => {
    for (const bytes of [block(0x20, 0x11, Buffer.alloc(12)), block(0x21, 0x31, Buffer.alloc(216)), block(0x21, 0, Buffer.alloc(0))]) {
      assert.deepEqual(read(bytes), { kind: 'header', bytes: bytes.length, ends: undefined });
    }
    assert.deepEqual(read(Buffer.from('PROXY UNKNOWN what ever\r\n')), { kind: 'header', bytes: 25, ends: undefined });
  });

  it('is waited for until it is whole', () => {
    for (const header of [proxyHeader(V1, FOUR), proxyHeader(V2, FOUR)]) {
      for (let length = 0; length < (header?.length ?? 0); length++) {
        assert.deepEqual(parseProxyHeader(header?.subarray(0, length) ?? Buffer.alloc(0)), { kind: 'incomplete' });
      }
    }
  });

  it('is refused where anything about it is wrong', () => {
    const lines = [
      'GET / HTTP/1.1\r\n',
      'proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n',
      'PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n',
      'PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n',
      'PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 -1 2\r\n',
      'PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n',
      'PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n',
      `PROXY UNKNOWN ${'x'.repeat(100)}\r\n`,
      `PROXY TCP4 ${'1'.repeat(100)}`,
    ].map((line) => Buffer.from(line));
    const blocks = [
      block(0x11, 0x11, Buffer.alloc(12)),
      block(0x22, 0x11, Buffer.alloc(12)),
      block(0x21, 0x41, Buffer.alloc(12)),
      block(0x21, 0x13, Buffer.alloc(12)),
      block(0x21, 0x11, Buffer.alloc(11)),
      block(0x21, 0x21, Buffer.alloc(35)),
      block(0x21, 0x11, Buffer.alloc(12), 65_535),
    ];
    for (const bytes of [...lines, ...blocks]) assert.deepEqual(parseProxyHeader(bytes), { kind: 'bad' }, bytes.toString('latin1'));
  });
});

describe('trusted sources', () => {
  it('are ranges and addresses of both families', () => {
    const sources = trustedSources(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', 'fe80::1']);
    for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8:1::2', 'fe80::1']) {
      assert.equal(sources?.has(address), true, address);
    }
    for (const address of ['11.0.0.1', '192.0.2.8', '::ffff:192.0.2.8', '2001:db9::1', 'fe80::2', undefined]) {
      assert.equal(sources?.has(address), false, address);
    }
  });

  it('trust nobody where nothing in them can be read', () => {
    assert.equal(trustedSources([]), undefined);
    assert.equal(trustedSources(['10.0.0.0/33', '10.0.0/8', '10.0.0.0/', 'everybody', '::/129', '']), undefined);
    assert.equal(trustedSources(['0.0.0.0/0'])?.has('203.0.113.9'), true);
    assert.equal(trustedSources(['0.0.0.0/0'])?.has('2001:db8::1'), false);
  });
});
