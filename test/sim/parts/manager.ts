// One simulated manager: the product's, over the simulated store and network.
import { Registry } from 'prom-client';
import { ShoalError } from '../../../lib/errors.ts';
import { seededIds } from '../../../lib/ids.ts';
import type { ImageResolver } from '../../../manager/api/index.ts';
import { serveManager } from '../../../manager/manager.ts';
import { type SimHostPower, type SimProcess, startProcess } from '../core/process.ts';
import { forkRng } from '../core/random.ts';
import { simTransport } from '../core/transport.ts';
import type { Ground } from '../ground.ts';

const images: ImageResolver = {
  resolve: () => Promise.reject(new ShoalError('unavailable', 'there is no registry')),
  platforms: () => Promise.resolve([]),
};
const AGAIN_MS = 1000;

export class SimManager {
  readonly name: string;
  readonly id: string;
  readonly power: SimHostPower;
  process: SimProcess | undefined;
  readonly #ground: Ground;
  #lives = 0;
  #host: SimProcess;

  constructor(ground: Ground, name: string) {
    this.#ground = ground;
    this.name = name;
    this.id = seededIds(forkRng(ground.seed, `${name} id`)).next();
    this.power = { name, on: true, wallOffsetMs: ground.wallOffsetMs };
    this.#host = this.#boot();
  }

  /** What answers at its address while no manager does. */
  get host(): SimProcess {
    return this.#host;
  }

  start(): void {
    if (!this.power.on || this.process?.alive === true) return;
    const ground = this.#ground;
    const life = this.#lives++;
    const rng = forkRng(ground.seed, `${this.name} ${life}`);
    const process = startProcess({ ...this.#base(), name: this.name, role: 'manager', rng });
    this.process = process;
    const log = ground.trace.log(this.name, () => process.alive);
    const ending = new AbortController();
    serveManager(
      {
        ...{ store: ground.store.open(process), managerId: this.id, clock: process.clock, rng, log },
        ...{ listen: { host: this.name, port: 7000 }, advertise: undefined, insecureRegistries: [] },
        ids: seededIds(forkRng(ground.seed, `${this.name} ids ${life}`)),
        metrics: new Registry(),
        transport: simTransport(process, ground.rpc),
        images,
        onServing: () => undefined,
      },
      ending.signal,
    ).catch((error: unknown) => {
      if (!process.alive) return;
      log.error('the manager ended', { error });
      process.kill('it ended');
      ground.scheduler.after(this.#host, AGAIN_MS, () => {
        this.start();
      });
    });
  }

  powerOff(): void {
    this.power.on = false;
    this.process?.kill('the host is off');
    this.#host.kill('the host is off');
  }

  powerOn(): void {
    if (this.power.on) return;
    this.power.on = true;
    this.#host = this.#boot();
    this.start();
  }

  #boot(): SimProcess {
    return startProcess({ ...this.#base(), name: `host@${this.name}`, role: 'host', rng: forkRng(this.#ground.seed, `${this.name} host`) });
  }

  #base(): Pick<Parameters<typeof startProcess>[0], 'host' | 'scheduler' | 'watch'> {
    return { host: this.power, scheduler: this.#ground.scheduler, watch: this.#ground.watch };
  }
}
