// How `events` shows one event: Docker's line "TIME TYPE ACTION ID (key=value, ...)", and what it says in plain words.
import type { Event } from '../../proto/index.ts';
import { goTemplate, mapOf, type Struct, toJson } from './go-template/index.ts';
import { timestamp } from './text.ts';

/** A function that renders one event, of that revision, as one line. Throws `invalid_argument` on a wrong template. */
export function eventRenderer(format: string | undefined): (event: Event, revision: number) => string {
  if (format === undefined) return eventLine;
  if (format === 'json') return (event, revision) => toJson(fieldsOf(event, revision));
  const template = goTemplate(format);
  return (event, revision) => template(fieldsOf(event, revision));
}

function eventLine(event: Event): string {
  const attributes = [['name', event.objectName], ...Object.entries(event.attributes)]
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key ?? ''}=${value ?? ''}`);
  const inBrackets = attributes.length > 0 ? ` (${attributes.join(', ')})` : '';
  const message = event.message === '' ? '' : `: ${event.message}`;
  return `${timestamp(event.timeUnixMs)} ${event.type} ${event.action} ${event.objectId}${inBrackets}${message}`;
}

function fieldsOf(event: Event, revision: number): Struct {
  return {
    Type: event.type,
    Action: event.action,
    ID: event.objectId,
    Name: event.objectName,
    Message: event.message,
    Time: Math.floor(event.timeUnixMs / 1000),
    TimeMs: event.timeUnixMs,
    Revision: revision,
    Actor: { ID: event.objectId, Attributes: mapOf(event.attributes) },
  };
}
