// When this leader first saw something, per service: the start of every delay that runs.
import type { Clock } from '../../lib/clock.ts';
import type { FirstSeen } from '../orchestrator/plan.ts';

interface Sighting {
  readonly sinceMs: number;
  pass: number;
}

/** Keys of an owner that were not asked for between `begin` and `end` are forgotten at `end`. */
export class FirstSeenTimes implements FirstSeen {
  readonly #clock: Clock;
  readonly #owners = new Map<string, Map<string, Sighting>>();
  #pass = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(): void {
    this.#pass++;
  }

  end(owner: string): void {
    const sightings = this.#owners.get(owner);
    if (sightings === undefined) return;
    for (const [key, sighting] of sightings) {
      if (sighting.pass !== this.#pass) sightings.delete(key);
    }
    if (sightings.size === 0) this.#owners.delete(owner);
  }

  sinceMs(owner: string, key: string): number {
    let sightings = this.#owners.get(owner);
    if (sightings === undefined) {
      sightings = new Map();
      this.#owners.set(owner, sightings);
    }
    const known = sightings.get(key);
    if (known !== undefined) {
      known.pass = this.#pass;
      return known.sinceMs;
    }
    const sinceMs = this.#clock.nowMs();
    sightings.set(key, { sinceMs, pass: this.#pass });
    return sinceMs;
  }

  has(owner: string, key: string): boolean {
    const known = this.#owners.get(owner)?.get(key);
    if (known !== undefined) known.pass = this.#pass;
    return known !== undefined;
  }

  forget(owner: string, key: string): void {
    this.#owners.get(owner)?.delete(key);
  }
}
