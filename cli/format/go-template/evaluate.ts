// Runs a parsed template on a value. Whatever is wrong is said with what is known: fields, functions, variables.
import { TEMPLATE_FUNCTIONS } from './functions.ts';
import type { Command, Node, Operand, Pipeline } from './parser.ts';
import { templateError } from './tokens.ts';
import { isList, isMap, isStruct, isTrue, show, sortedEntries, type Value } from './value.ts';

interface Scope {
  readonly dot: Value;
  readonly variables: ReadonlyMap<string, { value: Value }>;
}

/** Throws `invalid_argument` on unknown fields, functions and variables, and on values of the wrong kind. */
export function evaluateTemplate(nodes: readonly Node[], data: Value): string {
  return runBlock(nodes, { dot: data, variables: new Map([['', { value: data }]]) });
}

function runBlock(nodes: readonly Node[], outer: Scope): string {
  let scope = outer;
  let output = '';
  for (const node of nodes) {
    if (node.kind === 'text') {
      output += node.text;
    } else if (node.kind === 'print') {
      const value = runPipeline(node.pipeline, scope);
      if (node.pipeline.variables.length === 0) output += show(value);
      else scope = assign(node.pipeline, [value], scope);
    } else {
      output += runControl(node, scope);
    }
  }
  return output;
}

function runControl(node: Exclude<Node, { kind: 'text' | 'print' }>, scope: Scope): string {
  const value = runPipeline(node.pipeline, scope);
  switch (node.kind) {
    case 'if':
    case 'with': {
      if (!isTrue(value)) return runBlock(node.otherwise, scope);
      const inner = node.pipeline.variables.length === 0 ? scope : assign(node.pipeline, [value], scope);
      return runBlock(node.then, node.kind === 'with' ? { ...inner, dot: value } : inner);
    }
    case 'range': {
      const items = itemsOf(value);
      if (items.length === 0) return runBlock(node.otherwise, scope);
      return items
        .map(([key, item]) => {
          const values = node.pipeline.variables.length === 2 ? [key, item] : [item];
          const inner = node.pipeline.variables.length === 0 ? scope : assign(node.pipeline, values, scope);
          return runBlock(node.each, { ...inner, dot: item });
        })
        .join('');
    }
  }
}

function itemsOf(value: Value): readonly (readonly [Value, Value])[] {
  if (value === undefined || value === null) return [];
  if (isList(value)) return value.map((item, index) => [index, item]);
  if (isMap(value)) return sortedEntries(value);
  throw templateError(`range takes a list or a map, not ${show(value)}`);
}

function assign(pipeline: Pipeline, values: readonly Value[], scope: Scope): Scope {
  if (pipeline.declares) {
    const added = pipeline.variables.map((name, i): [string, { value: Value }] => [name, { value: values[i] }]);
    return { ...scope, variables: new Map([...scope.variables, ...added]) };
  }
  pipeline.variables.forEach((name, i) => {
    lookUp(name, scope).value = values[i];
  });
  return scope;
}

function lookUp(name: string, scope: Scope): { value: Value } {
  const variable = scope.variables.get(name);
  if (variable === undefined) throw templateError(`there is no variable $${name}`);
  return variable;
}

function runPipeline(pipeline: Pipeline, scope: Scope): Value {
  let piped: readonly Value[] = [];
  for (const command of pipeline.commands) piped = [runCommand(command, piped, scope)];
  return piped[0];
}

/** The value of the pipe so far becomes the last argument. */
function runCommand([first, ...others]: Command, piped: readonly Value[], scope: Scope): Value {
  if (first.kind === 'function') return call(first.name, [...others.map((operand) => valueOf(operand, scope)), ...piped]);
  if (piped.length > 0) throw templateError('only functions can follow a "|"');
  return valueOf(first, scope);
}

function call(name: string, values: readonly Value[]): Value {
  const known = Object.hasOwn(TEMPLATE_FUNCTIONS, name) ? TEMPLATE_FUNCTIONS[name] : undefined;
  if (known === undefined) throw templateError(`there is no function ${name}; known: ${Object.keys(TEMPLATE_FUNCTIONS).sort().join(', ')}`);
  return known(...values);
}

function valueOf(operand: Operand, scope: Scope): Value {
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'function':
      return call(operand.name, []);
    case 'path': {
      const { root, fields } = operand;
      return fields.reduce(fieldOf, rootValue(root, scope));
    }
  }
}

function rootValue(root: Extract<Operand, { kind: 'path' }>['root'], scope: Scope): Value {
  switch (root.kind) {
    case 'dot':
      return scope.dot;
    case 'variable':
      return lookUp(root.name, scope).value;
    case 'parenthesis':
      return runPipeline(root.pipeline, scope);
  }
}

function fieldOf(value: Value, name: string): Value {
  if (value === undefined || value === null) return undefined;
  if (isMap(value)) return value.get(name);
  if (!isStruct(value)) throw templateError(`.${name}: ${show(value)} has no fields`);
  if (Object.hasOwn(value, name)) return value[name];
  throw templateError(
    `there is no field .${name} here; known: ${Object.keys(value)
      .map((known) => `.${known}`)
      .join(', ')}`,
  );
}
