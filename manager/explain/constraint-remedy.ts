// A constraint that a node does not satisfy: the label that would, if one would, else going without the constraint.
import { type Node, NodeRole, NodeSpec, type NodeStatus, Placement, SmallestChange } from '../../proto/index.ts';
import { failedConstraint } from '../constraint/index.ts';
import { type Hypothesis, withNode } from './hypothesis.ts';
import { nameOf, type RemedyContext, type Step } from './step.ts';

/** A label to set, or, with value undefined, to remove. */
interface LabelChange {
  readonly key: string;
  readonly value: string | undefined;
}

export function constraintStep(hypothesis: Hypothesis, { serviceName }: RemedyContext): Step {
  const { spec } = hypothesis;
  const { node, status } = hypothesis.entry;
  const failed = node && failedConstraint(spec.placement, node, status);
  if (node === undefined || failed === undefined) return { reason: 'it does not satisfy the constraints', remedy: undefined };
  const reason = `constraint ${failed} does not hold there${ownValue(failed, node, status)}`;
  const name = nameOf(hypothesis);
  for (const label of labelChanges(failed)) {
    const changed = withLabel(node, label);
    if (failedConstraint(Placement.create({ constraints: [failed] }), changed, status) !== undefined) continue;
    const { key, value } = label;
    const change =
      value === undefined
        ? { kind: 'remove-label', what: `remove the label ${key} from ${name}`, command: `shoal node update --label-rm ${key} ${name}` }
        : {
            kind: 'set-label',
            what: `label ${name} with ${key}=${value}`,
            command: `shoal node update --label-add ${quoted(`${key}=${value}`)} ${name}`,
          };
    return {
      reason,
      remedy: {
        change: SmallestChange.create({ ...change, label: key, labelValue: value ?? '' }),
        next: withNode(hypothesis, changed, status),
      },
    };
  }
  const constraints = (spec.placement?.constraints ?? []).filter((text) => text !== failed);
  return {
    reason,
    remedy: {
      change: SmallestChange.create({
        kind: 'drop-constraint',
        what: `take the constraint away: no label of ${name} decides about it`,
        command: `shoal service update --constraint-rm ${quoted(failed)} ${serviceName}`,
        constraint: failed,
      }),
      next: { ...hypothesis, spec: { ...spec, placement: Placement.create({ ...spec.placement, constraints }) } },
    },
  };
}

const LABEL_TERM = /^\s*node\.labels\.([^\s=!|(),"]+)\s*(==|!=|\bin\b|\bnotin\b|\bexists\b)\s*(.*)$/is;

/** Candidates only: whether one helps is for the constraint itself to say. */
function labelChanges(constraint: string): readonly LabelChange[] {
  return constraint.split('||').flatMap((term): readonly LabelChange[] => {
    const [, key = '', operator = '', rest = ''] = LABEL_TERM.exec(term) ?? [];
    if (key === '') return [];
    switch (operator.toLowerCase()) {
      case '==':
      case 'in':
        return valuesOf(rest).map((value) => ({ key, value }));
      case 'exists':
        return [{ key, value: 'true' }];
      default:
        return [{ key, value: undefined }];
    }
  });
}

function valuesOf(text: string): readonly string[] {
  const values = text.trim().replace(/^\(/, '').replace(/\)$/, '').split(',');
  return [text, ...values].map((value) => value.trim().replace(/^"(.*)"$/, '$1')).filter((value) => value !== '');
}

function withLabel(node: Node, { key, value }: LabelChange): Node {
  const { [key]: _before, ...others } = node.spec?.labels ?? {};
  return { ...node, spec: NodeSpec.create({ ...node.spec, labels: value === undefined ? others : { ...others, [key]: value } }) };
}

/** ", its ssd is false" */
function ownValue(constraint: string, node: Node, status: NodeStatus | undefined): string {
  const [, key = ''] = /^\s*([\w.\-/]+)/.exec(constraint) ?? [];
  const [, kind = '', label = ''] = /^(node|engine)\.labels\.(.+)$/i.exec(key) ?? [];
  if (label !== '') {
    const labels = kind.toLowerCase() === 'node' ? node.spec?.labels : status?.description?.engine?.labels;
    const value = labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined;
    return value === undefined ? `: it has no ${kind.toLowerCase()} label ${label}` : `: its label ${label} is "${value}"`;
  }
  const description = status?.description;
  const own: Readonly<Record<string, string | undefined>> = {
    'node.id': node.id,
    'node.hostname': description?.hostname,
    'node.ip': description?.dataAddress,
    'node.role': node.spec?.role === NodeRole.MANAGER ? 'manager' : 'worker',
    'node.platform.os': description?.platform?.os,
    'node.platform.arch': description?.platform?.arch,
  };
  const value = own[key.toLowerCase()];
  return value === undefined || value === '' ? '' : `: its ${key.replace(/^node\.(platform\.)?/i, '')} is ${value}`;
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w.=:/@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
