// Asks the mesh what it does, page by page, for whoever looks at this node. Stands between the supervisor and those that follow the mesh.
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import type { MeshStatusPage } from '../../proto/index.ts';
import type { MeshLink } from './mesh-link.ts';
import type { MeshHandlers } from './mesh-supervisor.ts';

export interface MeshStatus {
  /** For the supervisor; all but the pages goes on to `next`. */
  readonly handlers: MeshHandlers;
  /** From the first port to the last. Throws `unavailable` where the mesh is not up, or goes; `unimplemented` where it is too old. */
  pages(targets: boolean, signal: AbortSignal): AsyncIterable<MeshStatusPage>;
}

/** A mesh answers at once, or hangs. */
const PAGE_DEADLINE_MS = 2000;

interface Asked {
  readonly resolve: (page: MeshStatusPage) => void;
  readonly reject: (error: ShoalError) => void;
}

export function meshStatus(next: MeshHandlers, clock: Clock): MeshStatus {
  let mesh: MeshLink | undefined;
  let why = 'it is starting';
  let sequence = 0;
  const asked = new Map<number, Asked>();

  const askPage = async (query: Pick<MeshStatusPage, 'next'> & { readonly targets: boolean }): Promise<MeshStatusPage> => {
    if (mesh === undefined) throw new ShoalError('unavailable', `the mesh of this node is not up: ${why}`);
    if (!mesh.ready.answersStatus) {
      throw new ShoalError('unimplemented', `the mesh of this node is of version ${mesh.ready.version}, which does not tell what it does`);
    }
    const link = mesh;
    const own = ++sequence;
    try {
      return await new Promise((resolve, reject) => {
        asked.set(own, { resolve, reject });
        link.sendStatusQuery({ sequence: own, targets: query.targets, after: query.next });
      });
    } finally {
      asked.delete(own);
    }
  };
  return {
    handlers: {
      up(link) {
        mesh = link;
        next.up(link);
      },
      down(reason) {
        mesh = undefined;
        why = reason;
        for (const { reject } of asked.values()) reject(new ShoalError('unavailable', `the mesh of this node went down: ${reason}`));
        next.down(reason);
      },
      report(report) {
        if (report.case === 'status') asked.get(report.value.sequence)?.resolve(report.value);
        else next.report(report);
      },
    },
    async *pages(targets, signal) {
      let page: MeshStatusPage | undefined;
      do {
        const query = { targets, next: page?.next };
        page = await withDeadline(clock, PAGE_DEADLINE_MS, 'an answer of the mesh', () => askPage(query), signal);
        yield page;
      } while (page.next !== undefined);
    },
  };
}
