// Docker's placeholders in env, hostname and mounts ("{{.Task.Slot}}"): read at the API, filled in when a task goes to its node.
// Pure. Only the placeholders below exist; anything else is refused with the reason.

/** What a placeholder may stand for. */
export interface TemplateValues {
  readonly service: { readonly id: string; readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly node: { readonly id: string; readonly hostname: string; readonly os: string; readonly architecture: string };
  /** `slot` is the node's id for global services, as in Docker. */
  readonly task: { readonly id: string; readonly name: string; readonly slot: string };
}

type Placeholder = (values: TemplateValues) => string;

export type TemplateResult =
  { readonly ok: true; readonly expand: (values: TemplateValues) => string } | { readonly ok: false; readonly reason: string };

const PLACEHOLDERS: Readonly<Record<string, Placeholder>> = {
  '.Service.ID': (values) => values.service.id,
  '.Service.Name': (values) => values.service.name,
  '.Node.ID': (values) => values.node.id,
  '.Node.Hostname': (values) => values.node.hostname,
  '.Node.Platform.OS': (values) => values.node.os,
  '.Node.Platform.Architecture': (values) => values.node.architecture,
  '.Task.ID': (values) => values.task.id,
  '.Task.Name': (values) => values.task.name,
  '.Task.Slot': (values) => values.task.slot,
};

const KNOWN = [...Object.keys(PLACEHOLDERS), '.Service.Labels.KEY', 'index .Service.Labels "KEY"'].join(', ');
const LABEL = /^\.Service\.Labels\.([A-Za-z_][A-Za-z0-9_]*)$/;
const INDEXED_LABEL = /^index\s+\.Service\.Labels\s+"([^"\\]*)"$/;

/** Text without placeholders is a template too. A label that the service does not have stands for nothing. */
export function parseTemplate(text: string): TemplateResult {
  const parts: (string | Placeholder)[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf('{{', at);
    if (open === -1) break;
    const close = text.indexOf('}}', open);
    if (close === -1) return { ok: false, reason: `"${text.slice(open, open + 40)}" opens a placeholder that is never closed with }}` };
    const inside = text.slice(open + 2, close).trim();
    const placeholder = placeholderOf(inside);
    if (placeholder === undefined)
      return { ok: false, reason: `{{${inside.slice(0, 60)}}} is not a known placeholder; known are: ${KNOWN}` };
    parts.push(text.slice(at, open), placeholder);
    at = close + 2;
  }
  parts.push(text.slice(at));
  return { ok: true, expand: (values) => parts.map((part) => (typeof part === 'string' ? part : part(values))).join('') };
}

function placeholderOf(inside: string): Placeholder | undefined {
  if (Object.hasOwn(PLACEHOLDERS, inside)) return PLACEHOLDERS[inside];
  const key = (LABEL.exec(inside) ?? INDEXED_LABEL.exec(inside))?.[1];
  if (key === undefined) return undefined;
  return (values) => (Object.hasOwn(values.service.labels, key) ? (values.service.labels[key] ?? '') : '');
}
