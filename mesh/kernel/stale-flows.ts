// Datagrams of a flow follow its conntrack entry for as long as they keep coming, also to a replica that is gone: such entries are deleted, so that the next
// datagram begins a flow to another one.
import { messageOf } from '../../lib/errors.ts';
import { type Logger } from '../../lib/log.ts';
import { type Flows } from './flows.ts';
import { type Rules } from './rules.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

export class StaleFlows {
  readonly #flows: Pick<Flows, 'forget'>;
  readonly #log: Logger;
  /** By `addressKey`: what had flows, or may have. */
  #known: ReadonlyMap<string, Address> = new Map();
  /** Their flows are still to be deleted. */
  readonly #gone = new Map<string, Address>();

  constructor(flows: Pick<Flows, 'forget'>, log: Logger) {
    this.#flows = flows;
    this.#log = log;
  }

  /** `before`: the rules until now, which a mesh before this one may have made; `present`: replicas that flows may go to, draining ones included. */
  async update(before: Rules, present: ReadonlyMap<string, Address>): Promise<void> {
    for (const [key, address] of [...mappedIn(before), ...this.#known]) {
      if (!present.has(key)) this.#gone.set(key, address);
    }
    this.#known = present;
    for (const [key, { host, port }] of this.#gone) {
      if (present.has(key)) this.#gone.delete(key);
      else if (!(await this.#forget(host, port))) return;
      else this.#gone.delete(key);
    }
  }

  async #forget(host: string, port: number): Promise<boolean> {
    try {
      await this.#flows.forget(host, port);
      return true;
    } catch (error) {
      this.#log.warn('flows to a replica that is gone cannot be moved now; trying again', { host, port, reason: messageOf(error) });
      return false;
    }
  }
}

function mappedIn({ ports }: Rules): Map<string, Address> {
  const addresses = new Map<string, Address>();
  for (const { transport, slots4, slots6 } of ports.values()) {
    if (transport !== 'udp') continue;
    for (const key of [...slots4, ...slots6]) {
      const [host = '', port = '0'] = key.split(' . ');
      addresses.set(key, { host, port: Number(port) });
    }
  }
  return addresses;
}
