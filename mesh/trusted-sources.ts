// Whose word on a client's address is believed: the address ranges of IngressSettings.trusted_sources.
import { BlockList, isIP } from 'node:net';

export interface TrustedSources {
  /** `address`: numeric, an IPv4 one in IPv6 clothes too; undefined (a socket that is gone): false. */
  has(address: string | undefined): boolean;
}

/** Undefined where nobody is trusted. A range that cannot be read (a newer manager's) is passed over: it trusts nobody. */
export function trustedSources(ranges: readonly string[]): TrustedSources | undefined {
  const list = new BlockList();
  let count = 0;
  for (const range of ranges) {
    const [address = '', length] = range.split('/', 2);
    const family = isIP(address);
    const most = family === 4 ? 32 : 128;
    const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : NaN;
    if (family === 0 || !(bits <= most)) continue;
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
    count++;
  }
  if (count === 0) return undefined;
  return {
    has: (address) => {
      if (address === undefined) return false;
      const plain = plainAddress(address);
      return list.check(plain, plain.includes(':') ? 'ipv6' : 'ipv4');
    },
  };
}

/** An IPv4 address that a socket of both families shows as "::ffff:192.0.2.1" is shown as what it is; any other as it comes. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
