// The networks of this node that its own containers are on.
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * The name of the interface on whose network `host` is; undefined where there is none. An interface with the node's own `nodeAddress` is none: containers
 * may have addresses of the network that other nodes are on, too.
 */
export type BridgeFinder = (host: string, nodeAddress: string) => string | undefined;

/** As the interfaces are now. */
export function bridgesOfHost(): BridgeFinder {
  const interfaces = Object.entries(networkInterfaces()).map(([name, addresses = []]) => {
    const range = new BlockList();
    for (const { cidr } of addresses) {
      const [network = '', length = ''] = cidr?.split('/') ?? [];
      if (network !== '') range.addSubnet(network, Number(length), familyOf(network));
    }
    return { name, range, own: new Set(addresses.map(({ address }) => address)) };
  });
  return (host, nodeAddress) => interfaces.find(({ range, own }) => !own.has(nodeAddress) && range.check(host, familyOf(host)))?.name;
}

function familyOf(host: string): 'ipv4' | 'ipv6' {
  return isIPv6(host) ? 'ipv6' : 'ipv4';
}
