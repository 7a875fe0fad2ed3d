// Object ids: 25 characters of base36, 128 random bits, as Docker's users know them.
import { randomBytes } from 'node:crypto';
import { type Rng, randomInt } from './rng.ts';

export interface Ids {
  next(): string;
}

const ID_LENGTH = 25;
const ID = /^[0-9a-z]{25}$/;

export const systemIds: Ids = {
  next() {
    let number = BigInt(`0x${randomBytes(16).toString('hex')}`);
    let id = '';
    for (let i = 0; i < ID_LENGTH; i++) {
      id = (number % 36n).toString(36) + id;
      number /= 36n;
    }
    return id;
  },
};

/** Ids decided by the rng; for tests and the simulator. */
export function seededIds(rng: Rng): Ids {
  return {
    next: () => Array.from({ length: ID_LENGTH }, () => randomInt(rng, 36).toString(36)).join(''),
  };
}

export function isId(text: string): boolean {
  return ID.test(text);
}
