// Placeholders in env, hostname and mount sources, in the syntax that Docker Swarm's users know: {{.Service.Name}}-{{.Task.Slot}}.
// Swarm evaluates Go templates; here exactly the placeholders below exist, and anything else is an error that says so.
import { ShoalError } from '../../lib/errors.ts';
import { type ContainerSpec, MountType, type TaskSpec } from '../../proto/index.ts';

export interface TemplateContext {
  readonly service: { readonly id: string; readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly node: { readonly id: string; readonly hostname: string; readonly arch: string; readonly os: string };
  /** `slot` is the node's id for a global service, as in Swarm. */
  readonly task: { readonly id: string; readonly name: string; readonly slot: string };
}

const FIELDS: Readonly<Record<string, (context: TemplateContext) => string>> = {
  '.Service.ID': (context) => context.service.id,
  '.Service.Name': (context) => context.service.name,
  '.Node.ID': (context) => context.node.id,
  '.Node.Hostname': (context) => context.node.hostname,
  '.Node.Platform.Architecture': (context) => context.node.arch,
  '.Node.Platform.OS': (context) => context.node.os,
  '.Task.ID': (context) => context.task.id,
  '.Task.Name': (context) => context.task.name,
  '.Task.Slot': (context) => context.task.slot,
};

const PLACEHOLDER = /(\s*)\{\{(-\s)?\s*([\s\S]*?)\s*?(\s-)?\}\}(\s*)/g;
const LABEL = /^\.Service\.Labels\.([A-Za-z_][A-Za-z0-9_]*)$/;
const INDEX = /^index\s+\.Service\.Labels\s+(?:"([^"\\]*)"|`([^`]*)`)$/;

/** Throws `invalid_argument` that names the placeholder and what is wrong with it. */
export function expandTemplate(text: string, context: TemplateContext): string {
  if (!text.includes('{{')) return text;
  let end = 0;
  const expanded = text.replace(
    PLACEHOLDER,
    (
      whole: string,
      before: string,
      trimLeft: string | undefined,
      body: string,
      trimRight: string | undefined,
      after: string,
      at: number,
    ) => {
      end = at + whole.length;
      return `${trimLeft === undefined ? before : ''}${valueOf(body, context)}${trimRight === undefined ? after : ''}`;
    },
  );
  if (text.indexOf('{{', end) !== -1) throw new ShoalError('invalid_argument', `"${text}": a {{ without its }}`);
  return expanded;
}

function valueOf(body: string, context: TemplateContext): string {
  const field = Object.hasOwn(FIELDS, body) ? FIELDS[body] : undefined;
  if (field !== undefined) return field(context);
  const label = LABEL.exec(body)?.[1];
  if (label !== undefined) {
    const value = ownLabel(context, label);
    if (value === undefined) throw problem(body, `the service has no label ${label}`);
    return value;
  }
  const index = INDEX.exec(body);
  // As in Go: `index` gives the empty text for a missing key.
  if (index !== null) return ownLabel(context, index[1] ?? index[2] ?? '') ?? '';
  if (body.startsWith('.Service.Labels.')) {
    throw problem(body, `write {{index .Service.Labels "${body.slice('.Service.Labels.'.length)}"}} for a label with dots or dashes`);
  }
  if (body.startsWith('env ')) throw problem(body, 'env is for secrets and configs, which have no templates here');
  throw problem(body, `unknown; there are ${Object.keys(FIELDS).join(', ')}, .Service.Labels.NAME and index .Service.Labels "NAME"`);
}

function ownLabel(context: TemplateContext, label: string): string | undefined {
  return Object.hasOwn(context.service.labels, label) ? context.service.labels[label] : undefined;
}

function problem(body: string, why: string): ShoalError {
  return new ShoalError('invalid_argument', `template {{${body}}}: ${why}`);
}

/** `spec` with env, hostname and mount sources filled in; itself where there is nothing to fill in. */
export function expandTaskSpec(spec: TaskSpec, context: TemplateContext): TaskSpec {
  const container = spec.container;
  if (container === undefined || !hasTemplates(container)) return spec;
  return {
    ...spec,
    container: {
      ...container,
      env: container.env.map((entry) => expandTemplate(entry, context)),
      hostname: expandTemplate(container.hostname, context),
      mounts: container.mounts.map((mount) =>
        mount.type === MountType.TMPFS ? mount : { ...mount, source: expandTemplate(mount.source, context) },
      ),
    },
  };
}

function hasTemplates(container: ContainerSpec): boolean {
  return (
    container.hostname.includes('{{') ||
    container.env.some((entry) => entry.includes('{{')) ||
    container.mounts.some((mount) => mount.source.includes('{{'))
  );
}

const SAMPLE: TemplateContext = {
  service: { id: 'id', name: 'name', labels: {} },
  node: { id: 'id', hostname: 'host', arch: 'amd64', os: 'linux' },
  task: { id: 'id', name: 'name.1', slot: '1' },
};

/** What is wrong with the template, whatever task it is for; undefined: nothing. For refusing it at the API, with the service's labels. */
export function templateProblem(text: string, labels: Readonly<Record<string, string>>): string | undefined {
  try {
    expandTemplate(text, { ...SAMPLE, service: { ...SAMPLE.service, labels } });
    return undefined;
  } catch (error) {
    return ShoalError.from(error).message;
  }
}
