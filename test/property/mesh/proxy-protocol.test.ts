import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import fc from 'fast-check';
import { type Ends, proxyHeader, SIGNATURE } from '../../../mesh/proxy-protocol/header.ts';
import { MAX_HEADER_BYTES, parseProxyHeader } from '../../../mesh/proxy-protocol/parser.ts';
import { ProxyProtocol } from '../../../proto/index.ts';

const port = fc.integer({ min: 0, max: 65_535 });
const endpoint = fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port });
const ends: fc.Arbitrary<Ends> = fc.record({ source: endpoint, destination: endpoint });
const version = fc.constantFrom(ProxyProtocol.PROXY_PROTOCOL_V1, ProxyProtocol.PROXY_PROTOCOL_V2);

/** All that is the same address looks the same; with `mapped`, an IPv4 one as IPv6. */
function canonical(address: string, mapped: boolean): string {
  const whole = mapped && isIPv4(address) ? `::ffff:${address}` : address;
  return isIPv4(whole) ? whole : new URL(`http://[${whole}]`).hostname;
}

function shown({ source, destination }: Ends): readonly unknown[] {
  const mapped = !isIPv4(source.address) || !isIPv4(destination.address);
  return [canonical(source.address, mapped), source.port, canonical(destination.address, mapped), destination.port];
}

describe('the PROXY header, whatever the addresses', () => {
  it('is read back as it was written, with any bytes behind it, and not before it is whole', () => {
    fc.assert(
      fc.property(version, ends, fc.uint8Array({ maxLength: 64 }), fc.nat(), (kind, said, rest, cut) => {
        const header = proxyHeader(kind, said) ?? Buffer.alloc(0);
        const parsed = parseProxyHeader(Buffer.concat([header, rest]));
        if (parsed.kind !== 'header') assert.fail(parsed.kind);
        assert.equal(parsed.bytes, header.length);
        assert.deepEqual(shown(parsed.ends ?? assert.fail('no ends')), shown(said));
        assert.equal(parseProxyHeader(header.subarray(0, cut % header.length)).kind, 'incomplete');
      }),
    );
  });

  it('is never longer than the limit, and garbage is refused without an exception', () => {
    const start = fc.constantFrom(Buffer.alloc(0), SIGNATURE, Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '));
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 300 }), (head, tail) => {
        const parsed = parseProxyHeader(Buffer.concat([head, tail]));
        if (parsed.kind === 'header') assert.ok(parsed.bytes <= Math.min(MAX_HEADER_BYTES, head.length + tail.length));
        const whole = parseProxyHeader(Buffer.concat([head, tail, Buffer.alloc(MAX_HEADER_BYTES)]));
        assert.notEqual(whole.kind, 'incomplete');
      }),
    );
  });
});
