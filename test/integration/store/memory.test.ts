import { createMemoryServer, openMemoryStore } from '../../../manager/store/memory.ts';
import { storeConformance } from './conformance.ts';

describe('the memory store', () => {
  let server = createMemoryServer();
  storeConformance(() => ({
    open: () => {
      server = createMemoryServer();
      return Promise.resolve(openMemoryStore({ server }));
    },
    again: async (store) => {
      await store.close();
      return openMemoryStore({ server });
    },
    leaseMs: 1500,
  }));
});
