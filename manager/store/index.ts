// Opens a store by its driver. Drivers are loaded when they are asked for: a manager with the embedded store never loads etcd3.
import type { EmbeddedStoreOptions } from './embedded/index.ts';
import type { EtcdStoreOptions } from './etcd/index.ts';
import type { Store } from './store.ts';

export type { EmbeddedStoreOptions } from './embedded/index.ts';
export type { EtcdStoreOptions } from './etcd/index.ts';

export type StoreOptions = ({ readonly driver: 'etcd' } & EtcdStoreOptions) | ({ readonly driver: 'embedded' } & EmbeddedStoreOptions);

/** Throws what the driver's own open function says. */
export async function openStore(options: StoreOptions): Promise<Store> {
  switch (options.driver) {
    case 'etcd': {
      const { openEtcdStore } = await import('./etcd/index.ts');
      return openEtcdStore(options);
    }
    case 'embedded': {
      const { openEmbeddedStore } = await import('./embedded/index.ts');
      return openEmbeddedStore(options);
    }
  }
}
