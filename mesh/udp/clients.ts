// One socket that clients send to, and its flows by client. Most addresses have one flow, so one needs no map of its own; nothing is made to look one up.
import { type Socket } from 'node:dgram';
import { type Flow } from './flow.ts';

export class ClientSide {
  readonly socket: Socket;
  readonly #flows = new Map<string, Flow | Map<number, Flow>>();

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get(address: string, port: number): Flow | undefined {
    const found = this.#flows.get(address);
    if (found instanceof Map) return found.get(port);
    return found?.port === port ? found : undefined;
  }

  add(flow: Flow): void {
    const found = this.#flows.get(flow.address);
    if (found === undefined) this.#flows.set(flow.address, flow);
    else if (found instanceof Map) found.set(flow.port, flow);
    else {
      const ports = new Map([
        [found.port, found],
        [flow.port, flow],
      ]);
      this.#flows.set(flow.address, ports);
    }
  }

  remove(flow: Flow): void {
    const found = this.#flows.get(flow.address);
    if (found instanceof Map) found.delete(flow.port);
    if (!(found instanceof Map) || found.size === 0) this.#flows.delete(flow.address);
  }
}
