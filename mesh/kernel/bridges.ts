// The bridges of this node, by the addresses that are on them.
import { existsSync } from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The name of the bridge whose network has the address; undefined where none has. */
export type BridgeFinder = (host: string) => string | undefined;

/** As they are now. An interface that is not a bridge leads out of the node, whatever addresses it has. */
export function bridgesOfHost(): BridgeFinder {
  const bridges: { readonly name: string; readonly range: BlockList }[] = [];
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    if (!existsSync(`/sys/class/net/${name}/bridge`)) continue;
    const range = new BlockList();
    for (const { cidr } of addresses) {
      const [network = '', length = ''] = cidr?.split('/') ?? [];
      if (network !== '') range.addSubnet(network, Number(length), familyOf(network));
    }
    bridges.push({ name, range });
  }
  return (host) => bridges.find(({ range }) => range.check(host, familyOf(host)))?.name;
}

function familyOf(host: string): 'ipv4' | 'ipv6' {
  return isIPv6(host) ? 'ipv6' : 'ipv4';
}
