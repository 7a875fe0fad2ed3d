// RemoveService: frees the name and the ports at once; the leader stops the tasks, then removes specs and status.
import { ShoalError } from '../../../lib/errors.ts';
import { Removed, type RemoveServiceRequest, type Service } from '../../../proto/index.ts';
import { nameId, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { claimedPorts } from './new-spec.ts';
import { claimPorts } from './ports.ts';

export async function removeService(context: ApiContext, request: RemoveServiceRequest): Promise<Removed> {
  const { state } = context;
  const { id, value: known } = serviceByRef(state, request.ref);

  const attempt = (): Attempt<Service> => {
    const row = state.get('services', id);
    if (row === undefined) throw new ShoalError('not_found', `service ${known.name} was removed meanwhile`);
    if (request.version !== 0 && row.modRevision !== request.version) {
      throw new ShoalError(
        'conflict',
        `service ${known.name} is at version ${row.modRevision}, it was to be removed at version ${request.version}: look at it again`,
      );
    }
    const { name } = row.value;
    const builder = new TransactionBuilder().delete('services', row);
    const wish = state.get('rebalance', id);
    if (wish !== undefined) builder.delete('rebalance', wish);
    const claim = state.get('byName', nameId('service', name));
    if (claim?.value.objectId === id) builder.delete('byName', claim);
    claimPorts(builder, state, id, [], claimedPorts(state, id));
    // A deletion leaves no row whose revision could tell of it; epochs of routes are counted from here too.
    builder.overwrite('routeFloor', '', { objectId: '' });
    addEvent(builder, context, { type: 'service', action: 'remove', objectId: id, objectName: name, message: '', attributes: {} });
    return { builder, result: row.value };
  };
  const what = { object: `service ${known.name}`, verb: 'removed', look: `shoal service inspect ${known.name}` };
  const { revision } = await commitChange(context, what, attempt);
  return Removed.create({ id, name: known.name, revision });
}
