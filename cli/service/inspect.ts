// `service inspect`
import type { VerbContext } from '../command-line/verb.ts';
import { type InspectOptions, inspectEach } from '../inspect/print.ts';
import { serviceStruct } from '../inspect/service.ts';
import { renderServicePretty } from '../inspect/service-pretty.ts';

export async function run(context: VerbContext, refs: readonly string[], options: InspectOptions): Promise<number> {
  const { shell } = context;
  const control = await context.control();
  return inspectEach(shell, refs, options, (ref) => control.read((client, call) => client.getService({ ref }, call)), {
    struct: serviceStruct,
    pretty: (service) => renderServicePretty(service, shell.clock.wallMs()),
  });
}
