// The control API: which handler answers which call, and what all of them have in common.
import { isAbortError } from '../../lib/errors.ts';
import type { CallContext, HandlersOf } from '../../lib/rpc/index.ts';
import type { ControlService } from '../../proto/index.ts';
import { KeptInventory } from '../explain/index.ts';
import { getCluster, updateCluster } from './cluster.ts';
import type { ApiContext } from './context.ts';
import { watchDrain } from './drain-watch.ts';
import { watchEvents } from './events.ts';
import { exec } from './exec.ts';
import { streamLogs } from './logs.ts';
import { evictNode, listNodes, removeNode, updateNode } from './nodes.ts';
import { watchProgress } from './progress.ts';
import { listMeshRoutes } from './mesh/routes.ts';
import { getMeshStatus } from './mesh/status.ts';
import { reachClientRevision } from './revision.ts';
import { checkService } from './services/check.ts';
import { endCanary } from './services/canary.ts';
import { explainServiceByRef } from './services/explain.ts';
import { createService } from './services/create.ts';
import { getServiceSpec, listServiceSpecs } from './services/history.ts';
import { getService, listServices } from './services/list.ts';
import { pauseService, resumeService } from './services/pause.ts';
import { planService } from './services/plan.ts';
import { rebalanceService } from './services/rebalance.ts';
import { removeService } from './services/remove.ts';
import { rollbackService } from './services/rollback.ts';
import { updateService } from './services/update.ts';
import { listTasks } from './tasks.ts';

/** Handlers to be added to an RpcServer under ControlService. They hold nothing that must be stopped. */
export function createControlApi(context: ApiContext): HandlersOf<typeof ControlService> {
  const { state, clock } = context;
  const inventory = new KeptInventory(state, clock);

  /** Every call is answered from a state that has what its client has seen. */
  const atRevision =
    <Req, Res>(answer: (request: Req, call: CallContext) => Res | Promise<Res>) =>
    async (request: Req, call: CallContext): Promise<Res> => {
      await reachClientRevision(state, call.metadata);
      return answer(request, call);
    };
  /** A client that went away is no error. */
  const streaming =
    <Req, Stream>(stream: (context: ApiContext, request: Req, call: Stream, callContext: CallContext) => Promise<void>) =>
    async (request: Req, call: Stream, callContext: CallContext): Promise<void> => {
      try {
        await reachClientRevision(state, callContext.metadata);
        await stream(context, request, call, callContext);
      } catch (error) {
        if (!callContext.signal.aborted && !isAbortError(error)) throw error;
      }
    };

  return {
    createService: atRevision((request, { signal }) => createService(context, request, signal)),
    checkService: atRevision((request) => checkService(state, request)),
    updateService: atRevision((request, { signal }) => updateService(context, request, signal)),
    rollbackService: atRevision((request) => rollbackService(context, request)),
    endCanary: atRevision((request) => endCanary(context, request)),
    pauseService: atRevision((request) => pauseService(context, request)),
    resumeService: atRevision((request) => resumeService(context, request)),
    rebalanceService: atRevision((request) => rebalanceService(context, request)),
    removeService: atRevision((request) => removeService(context, request)),
    getService: atRevision((request) => getService(state, request.ref)),
    planService: atRevision((request, { signal }) => planService(context, request, signal)),
    explainService: atRevision((request) => explainServiceByRef(context, inventory, request)),
    listServices: atRevision((request) => listServices(state, request)),
    listServiceSpecs: atRevision((request) => listServiceSpecs(state, request.ref)),
    getServiceSpec: atRevision((request) => getServiceSpec(state, request.ref, request.number)),
    listTasks: atRevision((request) => listTasks(state, request, context.clock.wallMs())),
    listNodes: atRevision((request) => listNodes(state, request)),
    updateNode: atRevision((request) => updateNode(context, request)),
    removeNode: atRevision((request) => removeNode(context, request)),
    evictNode: atRevision((request) => evictNode(context, request)),
    updateCluster: atRevision((request) => updateCluster(context, request)),
    getMeshStatus: atRevision((request, { signal }) => getMeshStatus(context, request, signal)),
    listMeshRoutes: atRevision((request, { signal }) => listMeshRoutes(context, request, signal)),
    watchDrain: streaming(watchDrain),
    getCluster: atRevision(() => getCluster(context)),
    watchProgress: streaming(watchProgress),
    watchEvents: streaming(watchEvents),
    logs: streaming(streamLogs),
    exec: (call) => exec(context, call),
  };
}
