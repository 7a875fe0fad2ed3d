// Whether a Register message is one that an agent would send: every wrong field is named.
import { type FieldProblem, ShoalError } from '../../lib/errors.ts';
import { isId } from '../../lib/ids.ts';
import { NodeDescription, type Register } from '../../proto/index.ts';

const MAX_TEXT = 255;
const MAX_LABELS = 100;
const MAX_LABEL_TEXT = 1024;
const MAX_LIST = 200;
/** It is part of a row, which must be far below what one transaction holds. */
const MAX_DESCRIPTION_BYTES = 64 * 1024;
/** A million cores, a pebibyte: beyond, it is no machine, and sums of many would not be exact. */
const MAX_NANO_CPUS = 1e15;
const MAX_MEMORY_BYTES = 2 ** 50;

/** Throws `invalid_argument`. */
export function checkRegister(register: Register): void {
  const problems: FieldProblem[] = [];
  const refuse = (path: string, message: string): void => {
    problems.push({ path, message });
  };
  if (register.nodeId !== '' && !isId(register.nodeId)) refuse('node_id', 'not an id; leave it empty to join as a new node');
  if (register.clusterId.length > MAX_TEXT) refuse('cluster_id', 'too long');
  if (register.nodeId !== '' && register.clusterId === '') refuse('cluster_id', 'missing: a node that has an id knows its cluster');
  if (register.nonce === '' || register.nonce.length > MAX_TEXT) refuse('nonce', `must have 1 to ${MAX_TEXT} characters`);
  if (register.bootId.length > MAX_TEXT) refuse('boot_id', 'too long');
  const labels = Object.entries(register.labels);
  if (labels.length > MAX_LABELS) refuse('labels', `at most ${MAX_LABELS} are taken`);
  if (labels.some(([key, value]) => key === '' || key.length > MAX_TEXT || value.length > MAX_LABEL_TEXT))
    refuse('labels', `keys have 1 to ${MAX_TEXT} characters, values at most ${MAX_LABEL_TEXT}`);
  if (register.description === undefined) refuse('description', 'missing');
  else checkDescription(register.description, refuse);
  if (problems.length > 0) throw ShoalError.invalid('registration refused', problems);
}

export function descriptionProblem(description: NodeDescription): ShoalError | undefined {
  const problems: FieldProblem[] = [];
  checkDescription(description, (path, message) => problems.push({ path, message }));
  return problems.length === 0 ? undefined : ShoalError.invalid('description refused', problems);
}

function checkDescription(description: NodeDescription, refuse: (path: string, message: string) => void): void {
  if (description.hostname.length > MAX_TEXT) refuse('description.hostname', `at most ${MAX_TEXT} characters`);
  // It goes to people's terminals.
  if (/\p{Cc}/u.test(description.hostname)) refuse('description.hostname', 'has control characters');
  if (NodeDescription.encode(description).length > MAX_DESCRIPTION_BYTES) refuse('description', `at most ${MAX_DESCRIPTION_BYTES} bytes`);
  const { nanoCpus = 0, memoryBytes = 0 } = description.resources ?? {};
  if (!isWithin(nanoCpus, MAX_NANO_CPUS)) refuse('description.resources.nano_cpus', `a whole number from 0 to ${MAX_NANO_CPUS}`);
  if (!isWithin(memoryBytes, MAX_MEMORY_BYTES))
    refuse('description.resources.memory_bytes', `a whole number from 0 to ${MAX_MEMORY_BYTES}`);
  if (description.dataAddress.length > MAX_TEXT) refuse('description.data_address', `at most ${MAX_TEXT} characters`);
  if (description.meshAddresses.length > MAX_LIST) refuse('description.mesh_addresses', `at most ${MAX_LIST}`);
  if (description.shoalVersion.length > MAX_TEXT) refuse('description.shoal_version', `at most ${MAX_TEXT} characters`);
  const engine = description.engine;
  if (engine === undefined) return;
  const { reason = '' } = engine.trouble ?? {};
  if (reason.length > MAX_TEXT || /\p{Cc}/u.test(reason))
    refuse('description.engine.trouble', `at most ${MAX_TEXT} characters on one line`);
  if (engine.plugins.length > MAX_LIST) refuse('description.engine.plugins', `at most ${MAX_LIST}`);
  const tooLong = Object.entries(engine.labels).some(([key, value]) => key.length > MAX_TEXT || value.length > MAX_LABEL_TEXT);
  if (tooLong || Object.keys(engine.labels).length > MAX_LABELS)
    refuse(
      'description.engine.labels',
      `at most ${MAX_LABELS}, keys of at most ${MAX_TEXT}, values of at most ${MAX_LABEL_TEXT} characters`,
    );
}

/** A negative number on the wire reads as one near 2^64. */
function isWithin(value: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= most;
}
